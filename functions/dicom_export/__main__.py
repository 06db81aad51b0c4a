"""`python -m dicom_export`: the command line."""

from dicom_export.cli import main

main()
