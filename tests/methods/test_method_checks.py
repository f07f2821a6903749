"""Joint training and InfoReg pass all that a method must; the others do in files of their own."""

import pytest

from inforeg_sk import InfoReg, Joint, presets
from inforeg_sk.testing import method_checks

METHODS = [
    Joint(),
    InfoReg(),
    InfoReg(**{**presets.method_settings(presets.PAPER_STAR), "window_threshold": -1e9}),
    InfoReg(**presets.method_settings(presets.authors_code("a", {"a": 0.95, "b": 0.1}))),
]
CHECKS = [
    pytest.param(check, id=f"{type(method).__name__}-{i}-{name}")
    for i, method in enumerate(METHODS)
    for name, check in method_checks(method)
]


@pytest.mark.parametrize("check", CHECKS)
def test_passes_check_method(check):
    check()
