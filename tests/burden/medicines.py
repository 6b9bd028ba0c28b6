"""What people who are prescribed naltrexone take besides: common medicines, spelled as several sources spell them.

Names are facts; the lists were written for this project. Each line: how often it is taken among a hundred adults with
these conditions (a rough weight), the RxNorm ingredient where coded systems send one, then its names: a clinical drug
name, an EHR's product name, a pharmacy's shorthand, a brand, and words that a patient or a busy clerk typed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Medicine:
    """A medicine that is no opioid, its RxNorm ingredient ("" = sent without a code) and its spellings, commonest first."""

    weight: int
    rxnorm: str
    names: tuple[str, ...]


def _read(table: str) -> tuple[Medicine, ...]:
    rows = (line.split("|") for line in table.strip().splitlines())
    return tuple(
        Medicine(int(weight), code.strip(), tuple(name.strip() for name in names))
        for weight, code, *names in rows
    )


EVERYBODY = _read("""
14|29046|lisinopril 10 MG Oral Tablet|Lisinopril 10mg tablets|LISINOPRIL 10MG TAB|Zestril 10 mg
10|17767|amlodipine 5 MG Oral Tablet|amlodipine (NORVASC) 5 mg tablet|AMLODIPINE BESYLATE 5MG TAB
12|83367|atorvastatin 20 MG Oral Tablet|atorvastatin 20 mg|ATORVASTATIN CALCIUM 20MG TABS|Lipitor
9|6809|metformin hydrochloride 500 MG Oral Tablet|METFORMIN ER 500MG 24HR TAB|Glucophage 500 mg|metformin 500 bid
9|7646|omeprazole 20 MG Delayed Release Oral Capsule|omeprazole dr 20 mg|OMEPRAZOLE 20MG CPDR|Prilosec OTC
8|10582|levothyroxine sodium 0.05 MG Oral Tablet|levothyroxine 50 mcg|SYNTHROID 50 MCG TABLET
6|52175|losartan potassium 50 MG Oral Tablet|LOSARTAN POTASSIUM 50MG TAB|Cozaar
6||hydrochlorothiazide 25 MG Oral Tablet|HCTZ 25 mg|hydrochlorothiazide 25mg
6||metoprolol succinate 50 MG Extended Release Oral Tablet|METOPROLOL SUCC ER 50MG TB24|Toprol XL 50
6||pantoprazole 40 MG Delayed Release Oral Tablet|pantoprazole 40 mg tablet|Protonix
7||albuterol 0.09 MG/ACTUAT Metered Dose Inhaler|ALBUTEROL HFA 90MCG INH|Ventolin HFA|salbutamol inhaler
8||ibuprofen 600 MG Oral Tablet|ibuprofen 600mg|Advil|IBUPROFEN 600MG TABS prn
8||acetaminophen 500 MG Oral Tablet|Tylenol Extra Strength|paracetamol 500mg tablets|acetaminophen 500 prn
5||aspirin 81 MG Delayed Release Oral Tablet|ASA 81|baby aspirin
9||cholecalciferol 2000 UNT Oral Tablet|vitamin D3 2000 IU|VITAMIN D3 50 MCG (2,000 UNIT) CAP|vit d
6||multivitamin tablet|MULTIVITAMIN ORAL|Centrum Silver
4||cetirizine hydrochloride 10 MG Oral Tablet|Zyrtec|CETIRIZINE 10MG TAB
4||fluticasone propionate 0.05 MG/ACTUAT Nasal Spray|Flonase|FLUTICASONE 50 MCG NASAL SPRAY
3||fish oil 1000 mg capsule|omega-3 acid ethyl esters 1000 MG Oral Capsule
3||ferrous sulfate 325 MG Oral Tablet|FERROUS SULF 325MG (65MG FE)|iron
3||cyanocobalamin 1 MG Oral Tablet|vitamin B12 1000 mcg
3||polyethylene glycol 3350 17000 MG Powder for Oral Solution|MiraLAX|POLYETHYLENE GLYCOL 3350 POWD
3||insulin glargine 100 UNT/ML Injectable Solution|Lantus SoloStar|LANTUS U-100 INSULIN 100 UNIT/ML
2||blood glucose test strips|PEN NEEDLES 32G X 4MM|ONETOUCH ULTRA TEST STRIPS
2||semaglutide 1 MG/DOSE Pen Injector|Ozempic
2||estradiol 1 MG Oral Tablet|norethindrone 0.35 mg tablet|Mirena IUD
2||amoxicillin 500 MG Oral Capsule|AMOXICILLIN 500MG CAPS
2||hydrocortisone 10 MG/ML Topical Cream|hydrocortisone 1% cream
2||melatonin 5 mg|MELATONIN 5MG TAB
1||magnesium oxide 400 MG Oral Tablet|Mag-Ox
1||influenza vaccine 2026-2027|FLU VACC QS2026-27(65YR UP)
1||turmeric capsules|ashwagandha root extract|CBD gummies
""")
ALCOHOL = _read("""
18|10454|thiamine 100 MG Oral Tablet|thiamine (vitamin B1) 100 mg|THIAMINE HCL 100MG TAB
14|4511|folic acid 1 MG Oral Tablet|FOLIC ACID 1MG TABS
14|82819|acamprosate calcium 333 MG Delayed Release Oral Tablet|ACAMPROSATE DR 333MG|Campral
14|25480|gabapentin 300 MG Oral Capsule|GABAPENTIN 300MG CAPS|Neurontin 300
16|36437|sertraline 50 MG Oral Tablet|sertraline (ZOLOFT) 50 mg tablet|SERTRALINE HCL 50MG TAB
12|10737|trazodone hydrochloride 50 MG Oral Tablet|TRAZODONE 50MG TABS|trazodone 50 qhs
9||hydroxyzine pamoate 25 MG Oral Capsule|hydroxyzine 25 mg prn|HYDROXYZINE PAM 25MG CAPS
8||escitalopram 10 MG Oral Tablet|Lexapro 10|ESCITALOPRAM OXALATE 10MG TAB
5||topiramate 50 MG Oral Tablet|TOPIRAMATE 50MG TABS
5||bupropion hydrochloride 150 MG 24 HR Extended Release Oral Tablet|bupropion XL 150 mg|Wellbutrin XL
4||mirtazapine 15 MG Oral Tablet|MIRTAZAPINE 15MG TABS
3||prazosin 1 MG Oral Capsule|PRAZOSIN HCL 1MG CAPS
3||nicotine 21 MG/24HR Transdermal System|NICOTINE PATCH 21MG/24HR
2||propranolol hydrochloride 20 MG Oral Tablet|Inderal
2||disulfiram 250 MG Oral Tablet|Antabuse
""")
PAIN = _read("""
18|72625|duloxetine 60 MG Delayed Release Oral Capsule|DULOXETINE HCL 60MG CPEP|Cymbalta 60
16|25480|gabapentin 300 MG Oral Capsule|GABAPENTIN 300MG CAPS|gabapentin 300 tid
10||amitriptyline hydrochloride 10 MG Oral Tablet|AMITRIPTYLINE 10MG TAB|Elavil
10||cyclobenzaprine hydrochloride 10 MG Oral Tablet|CYCLOBENZAPRINE 10MG TAB|Flexeril prn
9||pregabalin 75 MG Oral Capsule|Lyrica 75 mg|PREGABALIN 75MG CAPS
8||naproxen 500 MG Oral Tablet|NAPROXEN 500MG TABS|Aleve
7||celecoxib 200 MG Oral Capsule|CELECOXIB 200MG CAPS|Celebrex
6||lidocaine 0.05 MG/MG Medicated Patch|LIDOCAINE 5% PATCH|Lidoderm
6||tizanidine 4 MG Oral Tablet|TIZANIDINE HCL 4MG TABS|Zanaflex
5||meloxicam 15 MG Oral Tablet|MELOXICAM 15MG TABS|Mobic
5||methocarbamol 500 MG Oral Tablet|METHOCARBAMOL 500MG TABS
4||baclofen 10 MG Oral Tablet|BACLOFEN 10MG TABS
4||sumatriptan 50 MG Oral Tablet|Imitrex|SUMATRIPTAN SUCC 50MG TABS
3||diclofenac sodium 0.01 MG/MG Topical Gel|VOLTAREN 1% GEL
3||coenzyme Q10 100 mg|alpha lipoic acid 600 mg
2||hydroxychloroquine sulfate 200 MG Oral Tablet|Plaquenil
""")
OPIOID_USE = _read("""
12||clonidine hydrochloride 0.1 MG Oral Tablet|CLONIDINE HCL 0.1MG TABS|clonidine 0.1 prn
12||hydroxyzine pamoate 25 MG Oral Capsule|HYDROXYZINE PAM 25MG CAPS|Vistaril
10||ondansetron 4 MG Disintegrating Oral Tablet|ONDANSETRON ODT 4MG|Zofran
12||trazodone hydrochloride 50 MG Oral Tablet|TRAZODONE 50MG TABS
8||naloxone hydrochloride 40 MG/ML Nasal Spray|Narcan 4 mg nasal spray|NALOXONE HCL 4MG/0.1ML LIQD
8||sertraline 50 MG Oral Tablet|SERTRALINE HCL 50MG TAB
6||dicyclomine hydrochloride 20 MG Oral Tablet|Bentyl
5||quetiapine 50 MG Oral Tablet|QUETIAPINE FUMARATE 50MG TAB|Seroquel
4||nicotine 2 MG Chewing Gum|nicotine gum
3||emtricitabine 200 MG / tenofovir disoproxil fumarate 300 MG Oral Tablet|TRUVADA 200-300MG
2||sofosbuvir 400 MG / velpatasvir 100 MG Oral Tablet|Epclusa
""")
MESSY = (
    "magic mouthwash",
    "see outside med list",
    "STUDY DRUG (blinded) 24-117",
    "herbal sleep tea",
    "eye drops OU qid",
    "water pill",
)
