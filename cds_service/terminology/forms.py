"""What words say about form, route, release and partners of a drug, in the languages of the name packs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

from cds_service.model import Concept
from cds_service.terminology.form_codes import coded_form
from cds_service.terminology.words import fold


class Trait(StrEnum):
    """One thing that a name, a form or a route says; EITHER marks a brand sold in both releases."""

    ER = "er"
    TRANSDERMAL = "transdermal"
    TOPICAL = "topical"
    IMPLANT = "implant"
    INJECTION = "injection"
    SYRINGE = "syringe"
    DEPOT = "depot"
    NASAL = "nasal"
    MUCOSAL = "mucosal"
    ORAL = "oral"
    SOLID = "solid"
    LIQUID = "liquid"
    RECTAL = "rectal"
    BUPROPION = "bupropion"
    COUGH = "cough"
    ANALGESIC = "analgesic"
    DETERRENT = "deterrent"
    EITHER = "either"


PARTNERS = frozenset({Trait.BUPROPION, Trait.COUGH, Trait.ANALGESIC})
FORMS = frozenset(Trait) - PARTNERS - {Trait.DETERRENT, Trait.EITHER}

# RxNorm files every patch under "Topical Product" too; a real topical opioid has no such code.
_WORDS = {
    Trait.ER: (
        r"(?:extended|sustained|controlled|prolonged|modified|slow)[\s-]{0,2}(?:release|action)|long[\s-]acting"
        r"|contin(?:us)?\b"
        r"|(?<!every )(?<!q )(?<!per )(?<!/)(?:12|24)[\s-]?(?:hr|hour)s?\b"
        r"|(?:er|xr|sr|cr|xl|mr|pr|la|sa|od)\b(?=\s{0,3}(?:tab|cap|kap|comp|\d)|[^a-z]{0,12}$)"
        r"|(?:er|xr|sr|cr|xl|mr)\b|tb12\b|t12a\b|td24\b|cp12\b|cp24\b|tb24\b"
        r"|retard\w{0,20}|ret\b|depo?t(?:tabl|kaps|caps|gran|rak|pill)\w{0,20}"
        r"|l\.\s?p\b\.?|lp\b|liberaci?on (?:prolongada|sostenida|controlada|modificada|retardada)"
        r"|liberacao (?:prolongada|modificada|controlada)|rilascio (?:prolungato|modificato|controllato)"
        r"|liberation (?:prolongee|modifiee)|(?:verlangerte[rn]?|veranderte[rn]?|modifizierte[rn]?) ?wirkstoff"
        r"|(?:modifierad|forlangd|fordrojd) fris|(?:modificeret|modifisert|forlaenget) (?:udl|fris)"
        r"|(?:gereguleerde|verlengde|vertraagde|gecontroleerde) afgifte|mga\b|saadellysti|hidasvaik"
        r"|пролонг\w{0,10}|ретард|παρατεταμ\w{0,8}|ממושך|מושהה"
    ),
    Trait.TRANSDERMAL: (
        r"trans?derm\w{0,12}|patch(?:es)?\b|topical product|depo?t?pla(?:st|as)\w{0,12}"
        r"|plaster\b|pflaster\w{0,3}"
        r"|matrixpflaster|membranpflaster|parches?\b|cerott[oi]|emplast\w{0,6}|adesivos?\b|laastari|pleisters?\b"
        r"|tts\b|(?:mcg|ug|\u03bcg|mikrog|microg\w{0,8}|mikrog\w{0,8})\s?(?:/|per )\s?"
        r"(?:h|hr|hour|time|timme|stunde|std|heure|hora|ora|uur)\b"
        r"|mg/hr\b|пластыр\w{0,3}|трансдерм\w{0,8}|επιθεμ\w{0,4}|מדבק\w{0,3}"
    ),
    Trait.IMPLANT: r"impl?ant\w{0,4}|impiant\w|pellets?\b|имплант\w{0,3}",
    Trait.SYRINGE: r"(?:prefilled )?syringe|fertigspritze\w?|forfylld spruta|seringue pre|jeringa prec|siringa pre",
    Trait.DEPOT: (
        r"depo?t(?!-?\s?(?:tabl|kaps|caps|plast|plas|pflast|gran|rak|laast|pill))\b|depotinj\w{0,12}"
        r"|(?<![\d.])380\s?mg|(?:once[\s-])?monthly|weekly inj|ugedepot|manadsdepot"
    ),
    Trait.INJECTION: (
        r"inj(?:\b|ect|ekt|ek)\w{0,18}|inyec\w{0,6}|iniett\w{0,5}|iniezion\w|intramuscular|intramusk\w{0,5}"
        r"|subcutaneous|subkutan|intravenous|intraven\w{0,3}|intrathecal|epidural|vials?\b"
        r"|ampu?ll?e?\w{0,3}|ampolla\w?|fiala|fiale|cartridge|durchstechfl\w{0,6}|flacon|flakon|hetteglass"
        r"|auto[\s-]?injector|i\.?[mv]\b|s(?:ub)?[cq]\b|infus\w{0,8}|инъекц\w{0,4}|инфузи\w{0,3}|ενεσιμ\w{0,3}"
    ),
    Trait.NASAL: r"nasal\w?|intranasal|nostril|nasenspray|nasspray|nesespray|naesespray|neusspray|intranasaal",
    Trait.TOPICAL: (
        r"cream|ointment|lotion|topical|ophthalmic|eye drops?|vanishing|emulgel|gel\b(?!\s?cap)|top\b"
        r"|creme\b|crema\b|salbe|salva\b|pommade|pomada|unguento|zalf|kram\b|krem\b|augentropfen|collyre"
        r"|colirio|collirio|ogondroppar|ojendr\w{0,4}|мазь|крем\b"
    ),
    Trait.MUCOSAL: (
        r"sublingual\w{0,3}|buccal|bukkal|mucosal|film\b|lozenge|troche|sl\b|sublinguaal|sugtabl\w{0,5}"
        r"|resoribl\w{0,5}|lutsch\w{0,10}|подъязыч\w{0,4}|υπογλωσσ\w{0,3}"
    ),
    Trait.SOLID: (
        r"tabs?\b|tabletten?\b|[^\W\d_]{0,16}tabl(?:et\w{0,7})?\b|tbl\b|caps?(?:ules?|lets?)?\b"
        r"|capsul\w{0,3}|pills?\b"
        r"|soft\s?gels?|[^\W\d_]{0,12}kaps(?:el\w{0,3}|ul\w{0,3}|lar|ler)?\b|comprim\w{0,4}|compresse?\b"
        r"|compressa|cpr?\b|cps\b"
        r"|gelules?\b|dragees?\b|таблет\w{0,4}|капсул\w{0,3}|таб\b|δισκι\w{0,2}|καψακ\w{0,3}|טבלי\w{0,3}|כמוס\w{0,3}"
    ),
    Trait.LIQUID: (
        r"solution|soln\b|suspension|susp\b|liquid|syrup|elixir|drops\b|concentrate|tincture|linctus|losung"
        r"|tropfen|[^\W\d_]{0,12}tropfen|gouttes?\b|gotas\b|gocce\b|druppels?\b|droppar|draber"
        r"|sirup|sirop|jarabe|sciroppo|siroop|saft\b"
        r"|mixtur\w?|oral losn\w{0,3}|solucion|soluzione|drank\b|сироп|раствор|капли"
    ),
    Trait.ORAL: (
        r"oral\w{0,3}|by mouth|p\.?o\b|sprinkle|peroral\w?|per os|zum einnehmen|buvable|orodisp\w{0,8}"
        r"|schmelztabl\w{0,5}|munsonderf\w{0,8}|smelte\w{0,6}|внутрь"
    ),
    Trait.RECTAL: (
        r"rectal\w?|rektal\w?|suppos\w{0,6}|supprettes|zapfchen|supposta|stikpille\w?|stolpille\w?|zetpil\w{0,3}"
        r"|суппозит\w{0,4}"
    ),
    Trait.BUPROPION: r"bupropi?on\w?|contrave|mysimba|wellbutrin",
    Trait.COUGH: (
        r"guaif|guaiph|promethaz|prometaz|phenergan|robitussin|homatrop|(?:dex)?ch?lor(?:ph|f)en"
        r"|(?:dex)?brom(?:ph|f)en|pseudoe(?:ph|f)|pyrilam|triprolid|phenyle(?:ph|f)|fenilef|guaiacol|guajak|guaiak"
        r"|diphenhydr|difenhidr|difenidr|phenyltolox|chlorcycl|carbinox|doxylam|phenylprop|phenindam|ephedrine|efedrin"
        r"|terpin"
    ),
    Trait.ANALGESIC: (
        r"acetamin|apap\b|paracetam|parasetam|tylenol|aspirin|asa\b|ass\b|acetyl?sal|acetilsal|ibuprof"
        r"|butalbit|diclofen|naprox|salicyl|phenacet|carisoprod|metamizol|dipyron|ketoprof|dexketoprof|celecox"
        r"|парацетам|ибупроф"
    ),
    Trait.DETERRENT: r"abuse[\s-]deterrent",
}
_ANY = "|".join(f"(?P<{trait.name}>{words})" for trait, words in _WORDS.items())
_TRAITS = re.compile(rf"(?<![^\W\d_])(?:{_ANY})", re.IGNORECASE)

# Scripts that write words without spaces.
_UNSPACED = {
    Trait.ER: r"徐放|缓释|緩釋|控释|控釋|서방|長效|장용서방",
    Trait.TRANSDERMAL: r"贴剂|貼劑|貼付|テープ|パッチ|패취|패치|透皮|経皮|لصق",
    Trait.INJECTION: r"注射|静注|筋注|皮下注|点滴|주사|주\b|حقن",
    Trait.SOLID: r"錠|锭|片|カプセル|胶囊|膠囊|캡슐|정\b|정\d|أقراص|كبسول",
    Trait.LIQUID: r"シロップ|内用液|口服液|糖浆|糖漿|시럽|شراب",
    Trait.RECTAL: r"坐剤|坐薬|栓",
    Trait.MUCOSAL: r"舌下|バッカル|설하",
    Trait.NASAL: r"点鼻|鼻喷|鼻噴|비강",
    Trait.IMPLANT: r"植入|埋植",
}
_JOINED = re.compile("|".join(f"(?P<{trait.name}>{words})" for trait, words in _UNSPACED.items()))

# SNOMED CT and HL7 v3 codes of routes, for senders that leave the words out.
_ROUTES = {
    "26643006": Trait.ORAL,
    "78421000": Trait.INJECTION,
    "34206005": Trait.INJECTION,
    "47625008": Trait.INJECTION,
    "6064005": Trait.TOPICAL,
    "54485002": Trait.TOPICAL,
    "45890007": Trait.TRANSDERMAL,
    "46713006": Trait.NASAL,
    "37839007": Trait.MUCOSAL,
    "PO": Trait.ORAL,
    "IM": Trait.INJECTION,
    "IV": Trait.INJECTION,
    "SQ": Trait.INJECTION,
    "TOPICAL": Trait.TOPICAL,
    "TRNSDERM": Trait.TRANSDERMAL,
    "NASINHL": Trait.NASAL,
    "OPTH": Trait.TOPICAL,
}


def traits_of(texts: Iterable[str]) -> frozenset[Trait]:
    """Every trait that the folded texts spell out; a text that says nothing adds nothing."""
    found: set[str] = set()
    for text in texts:
        found |= {m.lastgroup for m in _TRAITS.finditer(text) if m.lastgroup}
        if not text.isascii():
            found |= {m.lastgroup for m in _JOINED.finditer(text) if m.lastgroup}
    return frozenset(Trait[name] for name in found)


def concept_traits(concept: Concept) -> frozenset[Trait]:
    """The traits of a form or a route, by its words and by the form and route codes in common use."""
    if not concept.text and not concept.codings:
        return frozenset()
    coded = {_ROUTES[c.code] for c in concept.codings if c.code in _ROUTES}
    coded |= {Trait(word) for c in concept.codings for word in coded_form(c)}
    return (
        traits_of(fold(text) for text in (concept.text, *(c.display for c in concept.codings)))
        | coded
    )
