"""``p300 report``: a run, a sweep or a benchmark as one HTML page that is complete in itself.

The files: :mod:`~p300.report.run`, :mod:`~p300.report.sweep` and :mod:`~p300.report.benchmark`
say what stands on the page, :mod:`~p300.report.signals` and :mod:`~p300.report.learned` what the
recording and the detector look like, :mod:`~p300.report.repeat` how to do it again, and
:mod:`~p300.report.page` how it all becomes HTML.
"""
