"""Reading the header of a stored DICOM object: its bytes, its data elements, the text in them.

pydicom warns and logs about damaged values, and quotes them. What a value says is patient data, so neither may reach a
log of ours; where it matters, the element's tag and what is wrong with it are in our own errors and notes.
"""

import logging
import warnings

logging.getLogger("pydicom").setLevel(logging.CRITICAL)
warnings.filterwarnings("ignore", module=r"pydicom\.")
