"""Several decoders over the same lines: table, JSON."""

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Optional

from rapidfuzz.distance import Levenshtein

from lm.base.errors import DataError
from lm.base.files import read_json, write_json
from lm.base.settings import from_mapping
from lm.normalisation import Normaliser

from ..text import tidy
from ..text.metrics import TextMetric, confusions, paired_bootstrap

__all__ = ["SystemResult", "EvaluationReport"]

FORMAT = "ocr-report-1"


@dataclass(frozen=True)
class SystemResult:
    """One decoder's readings.

    Attributes
    ----------
    name : str
    hypotheses : list of str
        In the order of the references.
    seconds : float or None
        Time of the network and the decoder together.
    confidences : list of float or None
    settings : dict
    """

    name: str
    hypotheses: list[str]
    seconds: Optional[float] = None
    confidences: Optional[list] = None
    settings: dict = field(default_factory=dict)


class EvaluationReport:
    """Scores of several systems on one split.

    Parameters
    ----------
    data, split : str
    ids, references : list of str
    systems : list of SystemResult
        The first is what the others are compared with.
    tokenisation : str
    extra : dict, optional
        Kept in the JSON.
    normalise : sequence of str
        Rules of `lm.normalisation` that references and readings are both brought to, before
        they are made tidy (see `ocr.text.tidy`), compared and kept.

    Raises
    ------
    DataError
        Lists of different lengths; no system; two of one name.
    """

    def __init__(self, data, split, ids, references, systems, tokenisation="space", extra=None,
                 normalise=()):
        self.data, self.split, self.tokenisation = data, split, tokenisation
        self.normalise, normaliser = tuple(normalise), Normaliser(normalise)
        self.ids, self.references = list(ids), [tidy(normaliser(text)) for text in references]
        self.systems = [replace(s, hypotheses=[tidy(normaliser(t)) for t in s.hypotheses])
                        for s in systems]
        self.extra = extra or {}
        if len(self.ids) != len(self.references):
            raise DataError(f"{len(self.ids)} ids for {len(self.references)} references")
        if not self.systems:
            raise DataError("a report needs at least one system")
        if len({s.name for s in self.systems}) != len(self.systems):
            raise DataError("two systems of a report have the same name")
        for system in self.systems:
            for what in ("hypotheses", "confidences"):
                values = getattr(system, what)
                if values is not None and len(values) != len(self.references):
                    raise DataError(f"{system.name}: {len(values)} {what} for "
                                    f"{len(self.references)} references")
        self.summaries = {}
        for system in self.systems:
            metric = TextMetric(tokenisation)
            metric.update_many(self.references, system.hypotheses)
            self.summaries[system.name] = metric.summary()

    def heading(self) -> str:
        """Return what the scores were measured on and how, in a sentence."""
        summary = self.summaries[self.systems[0].name]
        rules = f", normalised ({', '.join(self.normalise)})" if self.normalise else ""
        return (f"{self.data}, split {self.split}: {summary.lines} lines, "
                f"{summary.characters} characters, {summary.words} words; corpus-level{rules}, WER "
                f"tokenisation '{self.tokenisation}', lines/s with the network")

    def table(self, heading: bool = True) -> str:
        """Return the scores as an aligned plain-text table, under the heading."""
        rows = [["decoder", "CER % [95%]", "WER % [95%]", "SER %", "lines/s"]]
        for system in self.systems:
            s = self.summaries[system.name]
            rate = f"{s.lines / system.seconds:.1f}" if system.seconds else "-"
            rows.append([system.name, _cell(s.cer, s.cer_interval), _cell(s.wer, s.wer_interval),
                         f"{100 * s.ser:.1f}", rate])
        lines = aligned(rows)
        return "\n".join([self.heading(), *lines] if heading else lines)

    def comparison_table(self) -> str:
        """Return the relative changes against the first system, with 95% intervals, as text.

        Paired bootstrap over lines; "" where there is but one system.
        """
        rows = [[f"against {self.systems[0].name}", "CER change % [95%]", "WER change % [95%]"]]
        for name, scores in self.comparisons().items():
            rows.append([name] + [
                "-" if scores[m]["relative"] is None else
                _cell(scores[m]["relative"], scores[m]["relative_interval"], "+.1f")
                for m in ("cer", "wer")])
        return "\n".join(aligned(rows)) if len(rows) > 1 else ""

    def comparisons(self) -> dict[str, dict]:
        """Return {name: paired bootstrap against the first system} for the other systems."""
        first = self.systems[0]
        return {s.name: paired_bootstrap(self.references, first.hypotheses, s.hypotheses,
                                         self.tokenisation)
                for s in self.systems[1:] if self.references}

    def line_errors(self, name: str) -> list[int]:
        """Return the character edits of each line of the system `name`."""
        [system] = [s for s in self.systems if s.name == name]
        return [Levenshtein.distance(r, h) for r, h in zip(self.references, system.hypotheses)]

    def worst(self, name: str, top: int = 20) -> list[int]:
        """Return positions of the lines with the highest CER of a system, worst first."""
        rates = [e / max(len(r), 1) for e, r in zip(self.line_errors(name), self.references)]
        return sorted(range(len(rates)), key=lambda i: (-rates[i], i))[:top]

    def to_json(self) -> dict:
        """Return everything as a JSON-ready dict."""
        return {
            "format": FORMAT, "data": self.data, "split": self.split,
            "tokenisation": self.tokenisation, "normalise": self.normalise,
            "extra": self.extra,
            "ids": self.ids, "references": self.references,
            "versus_first": self.comparisons(),
            "systems": [{
                "name": s.name, "seconds": s.seconds, "settings": s.settings,
                "scores": asdict(self.summaries[s.name]),
                "lines_per_second": len(self.references) / s.seconds if s.seconds else None,
                "confusions": confusions(self.references, s.hypotheses),
                "worst": [self.ids[i] for i in self.worst(s.name)],
                "hypotheses": s.hypotheses, "confidences": s.confidences,
            } for s in self.systems]}

    def save_json(self, path: str) -> None:
        """Write `to_json` to `path`, atomically."""
        write_json(path, self.to_json())

    @classmethod
    def load_json(cls, path: str) -> "EvaluationReport":
        """Read a saved report; `DataError` names a file that is none."""
        value = read_json(path, finite=False)
        try:
            if value["format"] != FORMAT:
                raise KeyError("format")
            systems = [from_mapping(SystemResult, {f.name: s[f.name] for f in fields(SystemResult)})
                       for s in value["systems"]]
            return cls(value["data"], value["split"], value["ids"], value["references"], systems,
                       value["tokenisation"], value["extra"], value.get("normalise", ()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path}: not a report ({error!r})") from None


def aligned(rows: list[list[str]]) -> list[str]:
    """Rows of cells as lines, the first column to the left, a rule under the heading."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(w) if i == 0 else cell.rjust(w)
                       for i, (cell, w) in enumerate(zip(row, widths))) for row in rows]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return lines


def _cell(rate, interval, form=".2f"):
    text = format(100 * rate, form)
    if interval is not None:
        text += f" [{100 * interval[0]:{form}}, {100 * interval[1]:{form}}]"
    return text
