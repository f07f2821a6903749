"""Packaging of inforeg-sk; the tools' settings are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'"(.+)"', (HERE / "inforeg_sk" / "_version.py").read_text()).group(1)

AUDIO = ["librosa>=0.10.2", "soundfile>=0.12"]
VIDEO = ["av>=14.1", "pillow>=10.1"]
PLOT = ["matplotlib>=3.8"]
HDF5 = ["h5py>=3.11"]
ALL = [*AUDIO, *VIDEO, *PLOT, *HDF5]
# transformers only where a test or an example plugs one of its models in.
TESTS = [
    *ALL,
    "pytest>=8",
    "pandas>=2.2",
    "docutils>=0.20",
    "ruff>=0.12",
    "transformers>=4.46",
]

setup(
    name="inforeg-sk",
    version=VERSION,
    description="Multimodal estimators that learn from all of their modalities, for scikit-learn",
    long_description=(HERE / "README.rst").read_text(encoding="utf-8"),
    long_description_content_type="text/x-rst",
    license="BSD-3-Clause",
    license_files=["LICENSE"],
    author="The inforeg_sk developers",
    packages=find_packages(include=["inforeg_sk", "inforeg_sk.*"]),
    package_data={"inforeg_sk.datasets": ["data/*.npz", "data/av_digits_samples/*.flac"]},
    python_requires=">=3.10",
    # Lower bounds are what the suite was run with (constraints-lowest.txt); those of the extras
    # are the first releases for numpy 2.
    install_requires=[
        "torch>=2.4",
        "scikit-learn>=1.6",
        "skorch>=1.4",
        "numpy>=1.26",
        "joblib>=1.3",
    ],
    extras_require={
        "audio": AUDIO,
        "video": VIDEO,
        "plot": PLOT,
        "hdf5": HDF5,
        "all": ALL,
        "tests": TESTS,
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
