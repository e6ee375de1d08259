"""What personal data looks like: of values, with check digits where there are some, and of columns' names."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bessemer.validate import checksums


@dataclass(frozen=True)
class Detector:
    """kind: what it finds. is_one: whether a text is one. by_chance: whether other numbers pass too often by chance for
    the values alone to tell; then the column's name has to say it as well. named: a column's name that says it."""

    kind: str
    is_one: Callable[[str], bool]
    named: re.Pattern[str]
    by_chance: bool = False


def _name(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?i)(?:^|_|\b)(?:{words})(?:$|_|\d|\b)")


def _bare(check: Callable[[str], bool], form: str) -> Callable[[str], bool]:
    """The check of a text that may be written with separators; `form` says how."""
    written = re.compile(form)

    def is_one(text: str) -> bool:
        upper = text.strip().upper()
        return written.fullmatch(upper) is not None and check(re.sub(r"[^A-Z0-9]", "", upper))

    return is_one


_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,63}")
_PHONE = re.compile(r"(?:\+|00)?[\d\s().\-/x]{7,25}(?:\s?(?:x|ext\.?)\s?\d{1,6})?")


def _email(text: str) -> bool:
    return _EMAIL.fullmatch(text.strip()) is not None


def _phone(text: str) -> bool:
    """With a country's code, or grouped as people write it; 7 to 15 digits (E.164). A plain number is none."""
    plain = text.strip()
    digits = re.sub(r"\D", "", re.sub(r"(?:x|ext).*$", "", plain))
    if not 7 <= len(digits) <= 15 or not _PHONE.fullmatch(plain):
        return False
    if len(digits) == 13 and digits[:3] in ("978", "979"):  # a book
        return False
    if re.fullmatch(
        r"\d{4}-\d\d-\d\d.*|\d\d?[./]\d\d?[./]\d{2,4}|-?\d+(?:\.\d+)?|\d{1,3}(?:\.\d{1,3}){3}", plain
    ):
        return plain.startswith("00") and len(digits) >= 10
    return plain.startswith("+") or re.search(r"[\s().\-/x]", plain) is not None


def _address(text: str) -> bool:
    plain = text.strip()
    if not re.fullmatch(r"\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*", plain):
        return False
    try:
        ipaddress.ip_address(plain)
    except ValueError:
        return False
    return not re.fullmatch(r"\d\d?:\d\d:\d\d", plain)


_SEPARATED = r"[A-Z0-9](?:[ .\-/]?[A-Z0-9])*"

DETECTORS: tuple[Detector, ...] = (
    Detector("e-mail address", _email, _name("e_?-?mail|mail|email_?address")),
    Detector("bank account (IBAN)", _bare(checksums.iban, _SEPARATED), _name("iban|bank_?account|account_?no")),
    Detector(
        "payment card", _bare(checksums.card, r"\d(?:[ -]?\d)*"),
        _name("card_?(?:no|num|number)?|credit_?card|cc_?(?:no|num|number)?|pan"),
    ),
    Detector("network address", _address, _name("ip|ip_?addr(?:ess)?|client_?ip|remote_?addr")),
    Detector("tax number (Italy)", _bare(checksums.it_fiscal, _SEPARATED), _name("codice_?fiscale|cf")),
    Detector("tax number (Spain)", _bare(checksums.es_nif, _SEPARATED), _name("dni|nie|nif")),
    Detector("insurance number (UK)", _bare(checksums.uk_nino, _SEPARATED), _name("nino|ni_?number")),
    Detector("social security number (France)", _bare(checksums.fr_nir, _SEPARATED), _name("nir|secu|ssn")),
    Detector(
        "social security number (US)", _bare(checksums.us_ssn, r"\d{3}-\d{2}-\d{4}|\d{3} \d{2} \d{4}"),
        _name("ssn|social_?security(?:_?(?:no|number))?"),
    ),
    Detector("CPF (Brazil)", _bare(checksums.br_cpf, r"\d{3}\.?\d{3}\.?\d{3}-?\d{2}"), _name("cpf")),
    Detector("tax number (Germany)", _bare(checksums.de_tax, r"\d[\d ]{10,14}"), _name("steuer_?id|idnr|tin"), True),
    Detector("PESEL (Poland)", _bare(checksums.pl_pesel, r"\d{11}"), _name("pesel")),
    Detector("Aadhaar (India)", _bare(checksums.in_aadhaar, r"\d{4} ?\d{4} ?\d{4}"), _name("aadhaar|aadhar|uid")),
    Detector(
        "personal number (Sweden)", _bare(checksums.se_personal, r"(?:\d{6}|\d{8})[-+]?\d{4}"),
        _name("personnummer|personal_?number"),
    ),
    Detector("BSN (Netherlands)", _bare(checksums.nl_bsn, r"\d{9}"), _name("bsn|burger_?service_?nummer"), True),
    Detector("phone number", _phone, _name("phone|tel|telephone|telefon|mobile|cell|fax|msisdn")),
)  # fmt: skip

#: Names that say it where values cannot.
_NAMES = {
    "name of a person": _name(
        "first_?name|last_?name|sur_?name|full_?name|given_?name|family_?name|maiden_?name|vorname|nachname"
    ),
    "postal address": _name("street|street_?address|home_?address|postal_?address|strasse|address_?line"),
    "date of birth": _name("birth_?date|date_?of_?birth|dob|birth_?day|geburtsdatum"),
    "passport or licence": _name("passport(?:_?(?:no|number))?|driv(?:ing|er)_?licen[cs]e|licen[cs]e_?plate"),
}


@dataclass(frozen=True)
class Detected:
    """kind: of personal data. share: of the values that are such; None where only the name says it."""

    kind: str
    share: float | None


def detect(name: str, values: Iterable[str], least: float = 0.5) -> Detected | None:
    """What kind of personal data a column has; None where it has none that is known.

    Args:
        name: the column's. values: some of its values, without missing ones.
        least: the share of values that have to be of a kind. Where the name says it too, a fifth of it is enough.

    >>> detect("contact", ["ann@example.com", "bob@example.org"])
    Detected(kind='e-mail address', share=1.0)
    >>> detect("first_name", ["Ann", "Bob"])
    Detected(kind='name of a person', share=None)
    >>> detect("amount", ["12.50", "13.00"]) is None
    True
    """
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    texts = list(values)
    best: Detected | None = None
    for detector in DETECTORS if texts else ():
        said = detector.named.search(plain) is not None
        if detector.by_chance and not said:
            continue
        share = sum(map(detector.is_one, texts)) / len(texts)
        if share >= (least / 5 if said else least) and (best is None or share > (best.share or 0)):
            best = Detected(detector.kind, share)
    if best is not None:
        return best
    kind = next((kind for kind, pattern in _NAMES.items() if pattern.search(plain)), None)
    return Detected(kind, None) if kind and texts else None
