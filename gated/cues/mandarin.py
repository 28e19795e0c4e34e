"""Check that espeak-ng reads our Mandarin sentences correctly, by its phonemes. Pure.

espeak-ng prints its phonemes in its own letters (`espeak-ng -q -x`, see its docs/phonemes.md). "开" is `kh'ai55_|`: a
consonant, a vowel, and the contour of the tone. With the voice `cmn`, espeak-ng 1.51 reads it as the English word
"kai": `(en)kI55`. A sound file alone does not show this; the phonemes do.
"""

import re

_READINGS = """
一yi124 七qi1 三san1 不bu24 九jiu3 了le5 二er4 五wu3 人ren2 低di1 候hou4 值zhi2 像xiang4 入ru4 八ba1 六liu4 关guan1
再zai4 别bie2 到dao4 刷shua1 区qu1 卡ka3 叫jiao4 右you4 后hou4 向xiang4 员yuan2 呼hu1 四si4 在zai4 头tou2 好hao3
密mi4 左zuo3 已yi3 幺yao1 应ying14 开kai15 式shi4 您nin2 或huo4 打da3 找zhao3 抬tai2 按an4 换huan4 摄she4 故gu4
方fang1 是shi4 有you3 本ben3 来lai2 正zheng4 没mei2 火huo3 现xian4 班ban1 电dian4 登deng1 着zhe5 码ma3 社she4
禁jin4 离li2 种zhong3 稍shao1 等deng3 答da2 系xi4 联lian2 能neng2 脸lian3 警jing3 让rang4 记ji4 识shi25 试shi4
话hua4 请qing3 走zou3 输shu1 近jin4 进jin4 钮niu3 键jian4 门men2 障zhang4 零ling2 靠kao4 你ni3
退tui4 点dian3 还hai2 步bu4
"""
"""Every character of our sentences, its pinyin reading, and the tones that it may have there (5: neutral tone)."""

_INITIALS = {
    "zh": "ts.", "ch": "ts.h", "sh": "s.", "b": "p", "p": "ph", "m": "m", "f": "f", "d": "t", "t": "th", "n": "n",
    "l": "l", "g": "k", "k": "kh", "h": "X", "j": "tS;", "q": "tS;h", "x": "S;", "r": "z.", "z": "ts", "c": "tsh",
    "s": "s",
}  # fmt: skip
_FINALS = {
    "a": "A#", "ai": "ai#", "an": "[aA]#n", "ang": "[aA]#N", "ao": "Au#", "e": "(?:o-|@)#", "ei": "ei#", "en": "@#n",
    "eng": "@#N", "er": "@r#", "ou": "ou#", "ong": "ong#", "i": "i#", "ia": "iA#", "ie": "iE#", "iao": "[ij]Au#",
    "iu": "iou#", "ian": "iE#n", "in": "i#n", "iang": "i[aA]#N", "ing": "i#N", "u": "u#", "ua": "wA#", "uo": "uo#",
    "uai": "uai#", "ui": "uei#", "uan": "[uw][aA]#n", "uang": "w[aA]#N", "un": "w?u@#n", "y": "y#", "ye": "yE#",
    "yan": "y&#n", "yn": "y@#n",
    "yi": "ji#", "yao": "jAu#", "you": "jiou#", "ying": "ji#N", "yuan": "j?y&#n", "wu": "wu#",
}  # fmt: skip
"""Patterns of the finals in espeak-ng's letters. `#` is the tone. Finals with y or w have no initial consonant."""
_CONTOURS = {"1": "55", "2": "35", "3": "214 21 35", "4": "51", "5": "11 22 33 55"}
"""The contours of each tone (Chao's numbers).

The third tone is low before another tone, and rises before a third tone.
"""

PINYIN_READINGS = {entry[0]: entry[1:] for entry in _READINGS.split()}


def misread(sentence: str, phonemes: str) -> str | None:
    """Return the text that espeak-ng would read wrongly, or None if every syllable is right.

    `phonemes` are espeak-ng's phonemes of `sentence`.
    """
    if "(" in phonemes:
        return f"it would be read as another language: {phonemes.strip()[:40]}"
    sounds = re.sub(r"['%,_|\s]", "", phonemes)
    at = 0
    for character in filter(is_han, sentence):
        if character not in PINYIN_READINGS:
            return f"{character} has no reading in gated.cues.mandarin"
        found = _pattern(PINYIN_READINGS[character]).match(sounds, at)
        if found is None:
            return f"{character} would be read {sounds[at : at + 8]!r}, not {PINYIN_READINGS[character]}"
        at = found.end()
    return f"it would go on with {sounds[at : at + 12]!r}" if at < len(sounds) else None


def is_han(character: str) -> bool:
    """Return whether a character is Chinese. Each Chinese character is one syllable."""
    return "一" <= character <= "鿿"


def _pattern(reading: str) -> re.Pattern[str]:
    """Return the pattern in espeak-ng's letters of a syllable, given as pinyin with its possible tones."""
    sound = reading.rstrip("12345")
    contours = "|".join(contour for tone in reading[len(sound) :] for contour in _CONTOURS[tone].split())
    initial = next((each for each in sorted(_INITIALS, key=len, reverse=True) if sound.startswith(each)), "")
    final = sound.removeprefix(initial)
    if initial in ("zh", "ch", "sh", "r") and final == "i":
        vowel = r"i\.#"
    elif initial in ("z", "c", "s") and final == "i":
        vowel = r"i\[#"
    elif initial in ("j", "q", "x") and final.startswith("u"):
        vowel = _FINALS["y" + final[1:]]
    else:
        vowel = _FINALS[final]
    return re.compile(re.escape(_INITIALS.get(initial, "")) + vowel.replace("#", f"(?:{contours})(?!\\d)"))
