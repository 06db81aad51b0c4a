"""Reading the header of a stored DICOM object: its bytes, its data elements, the text in them.

pydicom warns and logs about damaged values, and quotes them. What a value says is patient data, so neither may reach a
log of ours; where it matters, the element's tag and what is wrong with it are in our own errors and notes.
"""

import logging
import warnings

# First, because importing it sets the level of its logger: a level that was set before would be lost.
import pydicom.config


def silence_pydicom() -> None:
    """Let no message of pydicom reach a handler of the process or standard error, whatever values it met."""
    logger = logging.getLogger(pydicom.config.logger.name)
    logger.setLevel(logging.CRITICAL + 1)
    # Its child loggers have levels of their own, and a handler of the root takes what propagates.
    logger.propagate = False
    logger.handlers = [logging.NullHandler()]
    warnings.filterwarnings("ignore", module=r"(pydicom|dicom_export)(\.|$)")
    # The stack level of a warning may point at whoever called us. Nobody else warns of anything that a user of ours could mend.
    warnings.filterwarnings("ignore", category=UserWarning)


silence_pydicom()
