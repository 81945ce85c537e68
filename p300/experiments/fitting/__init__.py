"""From planned detectors to one fitted detector: networks, classical detectors, their sum."""
