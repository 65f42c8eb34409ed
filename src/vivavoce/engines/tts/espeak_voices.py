"""eSpeak NG's voices under names that a person can type, with languages as `en_US`. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from vivavoce.engines.base import Voice

_REGIONS = (
    "af_ZA am_ET an_ES ar_SA as_IN az_AZ ba_RU be_BY bg_BG bn_BD bpy_IN bs_BA ca_ES chr_US cs_CZ cv_RU cy_GB "
    "da_DK de_DE el_GR en_US es_ES et_EE eu_ES fa_IR fi_FI fr_FR ga_IE gd_GB gn_PY grc_GR gu_IN hak_CN haw_US "
    "he_IL hi_IN hr_HR ht_HT hu_HU hy_AM hyw_AM id_ID is_IS it_IT ja_JP ka_GE kk_KZ kl_GL kn_IN ko_KR kok_IN "
    "ku_TR ky_KG la_VA lb_LU lt_LT ltg_LV lv_LV mi_NZ mk_MK ml_IN mr_IN ms_MY mt_MT mto_MX my_MM nb_NO nci_MX "
    "ne_NP nl_NL nog_RU om_ET or_IN pa_IN pap_AW pl_PL pt_PT qu_PE quc_GT ro_RO ru_RU sd_PK shn_MM si_LK sk_SK "
    "sl_SI smj_SE sq_AL sr_RS sv_SE sw_KE ta_IN te_IN th_TH ti_ET tk_TM tn_BW tr_TR tt_RU ug_CN uk_UA ur_PK uz_UZ "
    "vi_VN zh_CN"
)
REGIONS = dict(entry.split("_") for entry in _REGIONS.split())
"""The region of a language where its tag names none, and the one whose voice is the default. Others have no region."""
LANGUAGES = {"cmn": "zh_CN", "yue": "zh_HK", "en-shaw": "en_GB"}
"""Tags whose language is written otherwise elsewhere."""
NOT_REGIONS = frozenset(["ca-ba", "ca-nw", "ca-va", "ru-cl"])
"""Dialects, although they look like regions."""
SPEECHLESS = frozenset(["fo", "kaa", "xex"])
"""The package has no dictionary for these."""


def language_of(tag: str) -> str:
    """A tag of eSpeak (`en-gb-scotland`, `fr-fr`, `cmn`) as language and region (`en_GB`)."""
    first, *rest = tag.lower().split("-")
    for known in (tag.lower(), first):
        if known in LANGUAGES:
            return LANGUAGES[known]
    region = rest[0].upper() if rest and tag not in NOT_REGIONS else ""
    if len(region) != 2 and not region.isdecimal():
        region = REGIONS.get(first, "")
    return f"{first}_{region}" if region else first


def usable_voices(listed: Iterable[tuple[str, str, str]], sample_rate: int) -> dict[str, tuple[Voice, str]]:
    """The voices by id, each with eSpeak's own identifier; of each language the default one first.

    listed: (name, language tag, identifier) as eSpeak lists them. An id is the tag, `en-us`; of several voices with one
    tag the others are called by the end of their identifier.
    """
    voices: dict[str, tuple[Voice, str]] = {}
    for name, tag, identifier in listed:
        short = tag.lower()
        if short in SPEECHLESS:
            continue
        if short in voices:
            short = identifier.rpartition("/")[2].lower()
        voice = Voice(id=short, language=language_of(tag), name=name.strip(), engine="espeak", sample_rate=sample_rate)
        voices[short] = (voice, identifier)
    return dict(sorted(voices.items(), key=lambda item: _rank(item[1][0])))


def _rank(voice: Voice) -> tuple[str, bool, int, str]:
    language, _, region = voice.language.partition("_")
    return language, region != REGIONS.get(language, ""), len(voice.id), voice.id
