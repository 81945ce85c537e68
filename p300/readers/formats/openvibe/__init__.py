"""OpenViBE files: ``.ov`` and CSV, whose stimulations have names."""
