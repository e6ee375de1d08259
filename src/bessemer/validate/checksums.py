"""The check digits of numbers that belong to people: what tells a bank account from any long number.

Each function takes the text without blanks and separators, in capitals, and gives whether it is one.
"""

from __future__ import annotations

import re

#: Lengths of IBANs by country (SWIFT's registry of 2024).
_IBAN = dict(
    re.findall(
        r"([A-Z]{2})(\d\d)",
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 "
        "EE20 EG29 ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 "
        "IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 "
        "NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SD18 SE24 SI19 SK24 SM27 ST25 SV28 "
        "TL23 TN24 TR26 UA29 VA22 VG24 XK20",
    )
)


def luhn(digits: str) -> bool:
    """The check digit of ISO/IEC 7812.

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)
    """
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def card(text: str) -> bool:
    """A payment card: a known issuer's first digits, its length, and Luhn's check digit.

    >>> card("5555555555554444"), card("5555555555554445")
    (True, False)
    """
    issuer = re.fullmatch(
        r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}"
        r"|3(?:0[0-5]|[68]\d)\d{11}|(?:2131|1800)\d{11}|6(?:011|5\d\d|4[4-9]\d)\d{12}|35\d{14}|(?:50|5[6-8]|6\d)\d{10,17}|62\d{14,17}",
        text,
    )
    return issuer is not None and len(set(text)) > 1 and luhn(text)


def iban(text: str) -> bool:
    """A bank account by ISO 13616: the country's length, and the remainder by 97.

    >>> iban("DE89370400440532013000"), iban("DE89370400440532013001")
    (True, False)
    """
    if not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", text) or int(_IBAN.get(text[:2], 0)) != len(text):
        return False
    return int("".join(str(int(c, 36)) for c in text[4:] + text[:4])) % 97 == 1


def us_ssn(text: str) -> bool:
    """A social security number of the United States: it has no check digit, but areas and groups that are never given.

    >>> us_ssn("123456789"), us_ssn("666456789"), us_ssn("123006789")
    (True, False, False)
    """
    return bool(re.fullmatch(r"(?!000|666|9\d\d)\d{3}(?!00)\d{2}(?!0000)\d{4}", text)) and len(set(text)) > 1


def uk_nino(text: str) -> bool:
    """A national insurance number of the United Kingdom: letters that are given, six digits, A to D."""
    return bool(re.fullmatch(r"(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]\d{6}[A-D]", text))


def de_tax(text: str) -> bool:
    """A tax identification number of Germany (ISO 7064, MOD 11,10); of its first ten digits one repeats.

    >>> de_tax("36574261809"), de_tax("36574261808")
    (True, False)
    """
    repeated = [n for n in map(text[:10].count, set(text[:10])) if n > 1]
    if not re.fullmatch(r"[1-9]\d{10}", text) or repeated not in ([2], [3]):
        return False
    product = 10
    for digit in text[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(text[10])


def fr_nir(text: str) -> bool:
    """A social security number of France: sex, year, month, department, and the remainder by 97.

    >>> fr_nir("255081416802538")
    True
    """
    found = re.fullmatch(r"([1278]\d{2}(?:0[1-9]|1[0-2]|[2-9]\d)(?:\d{2}|2[AB])\d{6})(\d{2})", text)
    if found is None:
        return False
    number = int(found[1].replace("2A", "19").replace("2B", "18"))
    return 97 - number % 97 == int(found[2])


def es_nif(text: str) -> bool:
    """A tax number of a person in Spain (DNI or NIE): the letter follows from the number.

    >>> es_nif("12345678Z"), es_nif("12345678A"), es_nif("X1234567L")
    (True, False, True)
    """
    found = re.fullmatch(r"([XYZ]?\d{7,8})([A-Z])", text)
    if found is None or len(text) != 9:
        return False
    number = int(found[1].translate(str.maketrans("XYZ", "012")))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23] == found[2]


def it_fiscal(text: str) -> bool:
    """A tax code of a person in Italy: its last letter follows from the others.

    >>> it_fiscal("RSSMRA85T10A562S"), it_fiscal("RSSMRA85T10A562T")
    (True, False)
    """
    form = r"[A-Z]{6}[0-9LMNP-V]{2}[ABCDEHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]"
    if not re.fullmatch(form, text):
        return False
    odd = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
    places = [int(c) if c.isdigit() else ord(c) - 65 for c in text[:15]]
    total = sum(odd[value] if i % 2 == 0 else value for i, value in enumerate(places))
    return chr(65 + total % 26) == text[15]


def pl_pesel(text: str) -> bool:
    """A PESEL of Poland: a date of birth and a check digit.

    >>> pl_pesel("44051401359"), pl_pesel("44051401358")
    (True, False)
    """
    found = re.fullmatch(r"\d{2}([0-9]\d)(0[1-9]|[12]\d|3[01])\d{5}", text)
    if found is None or int(found[1]) % 20 not in range(1, 13):
        return False
    weights = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)
    return -sum(w * int(d) for w, d in zip(weights, text, strict=False)) % 10 == int(text[10])


def br_cpf(text: str) -> bool:
    """A CPF of Brazil: two check digits.

    >>> br_cpf("39053344705"), br_cpf("39053344706"), br_cpf("11111111111")
    (True, False, False)
    """
    if not re.fullmatch(r"\d{11}", text) or len(set(text)) == 1:
        return False
    for length in (9, 10):
        total = sum((length + 1 - i) * int(text[i]) for i in range(length))
        if total * 10 % 11 % 10 != int(text[length]):
            return False
    return True


def nl_bsn(text: str) -> bool:
    """A BSN of the Netherlands: the test of eleven.

    >>> nl_bsn("111222333"), nl_bsn("111222334")
    (True, False)
    """
    if not re.fullmatch(r"\d{9}", text) or len(set(text)) == 1:
        return False
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    return sum(w * int(d) for w, d in zip(weights, text, strict=True)) % 11 == 0


def se_personal(text: str) -> bool:
    """A personal number of Sweden: a date of birth and Luhn's check digit.

    >>> se_personal("8112189876"), se_personal("8112189875")
    (True, False)
    """
    found = re.fullmatch(r"(?:19|20)?(\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{4})", text)
    return found is not None and luhn(found[1])


#: Verhoeff's tables: the multiplication of the dihedral group of ten, and the permutations of places.
_D = re.findall(
    r"\d{10}",
    "0123456789 1234067895 2340178956 3401289567 4012395678 5987604321 6598710432 7659821043 8765932104 9876543210",
)
_P = re.findall(
    r"\d{10}",
    "0123456789 1576283094 5803796142 8916043527 9453126870 4286573901 2793806415 7046913258",
)


def in_aadhaar(text: str) -> bool:
    """An Aadhaar number of India: twelve digits and Verhoeff's check digit.

    >>> in_aadhaar("234123412346"), in_aadhaar("234123412347")
    (True, False)
    """
    if not re.fullmatch(r"[2-9]\d{11}", text):
        return False
    state = 0
    for place, digit in enumerate(reversed(text)):
        state = int(_D[state][int(_P[place % 8][int(digit)])])
    return state == 0
