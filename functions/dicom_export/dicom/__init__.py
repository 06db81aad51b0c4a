"""Reading the header of a stored DICOM object: its bytes, data elements and text.

pydicom warns and logs about damaged values, and quotes them. Values are patient data, so neither
may reach the logs of this project. Where a damaged value matters, this project's own errors and
notes name the tag and the problem.
"""

import logging
import warnings

# First, because the import sets the level of its logger: a level that was set before would be lost.
import pydicom.config


def silence_pydicom() -> None:
    """Keep every message of pydicom from the handlers of the process and standard error."""
    logger = logging.getLogger(pydicom.config.logger.name)
    logger.setLevel(logging.CRITICAL + 1)
    # Its child loggers have levels of their own, and a handler of the root logger receives what propagates.
    logger.propagate = False
    logger.handlers = [logging.NullHandler()]
    warnings.filterwarnings("ignore", module=r"(pydicom|dicom_export)(\.|$)")
    # The stack level of a warning may point at our caller. No other warning is one that a user could act on.
    warnings.filterwarnings("ignore", category=UserWarning)


silence_pydicom()
