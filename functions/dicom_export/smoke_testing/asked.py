"""The questions that only a real project answers, and how each is asked.

The numbers are those of the project's list of open questions; each is a line `question-NN` of the output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dicom_export.errors import DicomExportError
from dicom_export.smoke_testing import experiments
from dicom_export.smoke_testing.results import Outcome, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dicom_export.smoke_testing.bench import Bench
    from dicom_export.smoke_testing.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class Question:
    """A question. `ask` returns what was measured; without it, a run cannot answer, and `left` says why.

    With both, a run answers a part.
    """

    text: str
    ask: Callable[[Bench, Pipeline], Mapping[str, Any]] | None = None
    left: str = ""


QUESTIONS: dict[int, Question] = {
    1: Question(
        "Does an overwrite keep row access policies and settings, by an account without an all-rows policy?",
        experiments.what_an_overwrite_kept,
        "policy tags and data policies need a taxonomy, which the test does not create",
    ),
    2: Question(
        "Does WRITE_TRUNCATE_DATA take NULLABLE for REQUIRED nested columns, and nested fields in another order?",
        experiments.nested_columns_of_an_overwrite,
    ),
    3: Question(
        "After a commit: is streamingBuffer set, when is numRows right, does a copy have all rows?",
        experiments.rows_after_a_commit,
    ),
    4: Question(
        "Rows that the default stream gets during an overwrite: kept, lost or refused? Do streams go on?",
        experiments.rows_during_an_overwrite,
    ),
    5: Question(
        "An append with an extra column, as Arrow and as protocol buffers: which code and text?",
        experiments.extra_columns,
    ),
    6: Question("Nested Arrow with TIME, JSON and empty lists: are all values equal?", experiments.nested_arrow),
    7: Question(
        "Seconds from a new column until the default stream, a new stream and an append know it?",
        experiments.seconds_until_a_column_is_known,
    ),
    8: Question("Does GetWriteStream of an older stream follow the table?", experiments.older_streams),
    9: Question("At how many columns is a table refused, with which message?", experiments.most_columns),
    10: Question("What is the error for a row older than 10 years in a partitioned table?", experiments.old_rows),
    11: Question(
        "Pushes per second, attempts and dead letters of 2,000 messages of 20 s against 10 slots?",
        left="it takes an hour and costs a load: export a store of 2,000,000 instances, and look at the dashboard",
    ),
    12: Question(
        "Which class has an Autoclass object after a read of 64 KB?",
        left="it takes a bucket with Autoclass whose objects were not read for 30 days",
    ),
    13: Question("Which spelling of maxStaleness is taken, and is a copy refused afterwards?", experiments.staleness),
    14: Question("Does a dry run report rowLevelSecurityApplied?", experiments.row_security_of_a_dry_run),
    15: Question(
        "Which headers arrive at the function, and are all run.app URLs taken as audience?", experiments.headers
    ),
    16: Question(
        "Seconds from a grant until the build, the push and the first read succeed?",
        left="only `terraform apply` grants: note its times, and those of the first `ok` of `dicom-export doctor`",
    ),
    17: Question(
        "What do GetWriteStream and a second commit say of a committed stream?",
        experiments.committed_streams,
        "a run takes minutes; the answers after 1 hour and after 25 hours are open",
    ),
    18: Question(
        "Peak memory, cold start and time per message of each function?",
        experiments.sizes,
        "with a few small instances; the load test has others",
    ),
}


def answers(bench: Bench, pipeline: Pipeline) -> Iterator[Result]:
    """Yield the answer to each question, in their order."""
    for number, question in QUESTIONS.items():
        yield _answered(f"question-{number:02d}", question, bench, pipeline)


def _answered(line: str, question: Question, bench: Bench, pipeline: Pipeline) -> Result:
    if question.ask is None:
        return Result(line, Outcome.NOT_VERIFIED, f"{question.text} Not asked: {question.left}")
    try:
        measured = question.ask(bench, pipeline)
    except DicomExportError as error:
        return Result(line, Outcome.NOT_VERIFIED, f"{question.text} {error.message}")
    except (KeyError, IndexError, TypeError, ValueError) as error:
        return Result(line, Outcome.NOT_VERIFIED, f"{question.text} An answer lacks {type(error).__name__}: {error}")
    if question.left:
        return Result(line, Outcome.PARTLY, f"{question.text} Open: {question.left}", measured)
    return Result(line, Outcome.VERIFIED, question.text, measured)
