"""``p300 report``: a run, a sweep or a benchmark as one self-contained HTML page.

The files: :mod:`~p300.report.run`, :mod:`~p300.report.sweep` and :mod:`~p300.report.benchmark`
define the content of the page, :mod:`~p300.report.signals` and :mod:`~p300.report.learned` draw
the recording and the detector, :mod:`~p300.report.repeat` lists how to repeat the run, and
:mod:`~p300.report.page` writes the HTML.
"""
