"""Names of people that the words around them announce. A function over a folded text.

A name has no check digit and no shape of its own, so this finds what a label, a salutation or a title announces, and no
other. A named-entity model finds more (named_entities.py).
"""

from __future__ import annotations

import re

from kb_pipeline.masking.finding.cues import any_of, around

Span = tuple[int, int]

_SURNAMES = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪"
    "田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文庞樊兰殷施陶洪翟安颜倪严牛温"
    "芦季俞章鲁葛伍韦申尤毕聂焦向柳邢岳齐梅莫庄辛管祝左涂谷祁时舒耿牟卜詹关苗凌费纪靳盛童欧甄项曲成游阳裴席卫查屈鲍位覃"
    "霍翁隋植甘景薄单包司柏宁柯阮桂闵解强柴华车冉房边張劉陳楊趙黃吳孫馬羅鄭謝韓馮蕭鄧許呂蘇盧賈葉閻譚鄒陸顧龍萬錢湯賀賴"
)
_DOUBLE_SURNAMES = (
    "欧阳|歐陽|司马|司馬|上官|诸葛|諸葛|东方|東方|皇甫|尉迟|公孙|慕容|令狐|宇文|长孙|司徒|夏侯|独孤|端木|南宫"
)
_GIVEN = "[\u4e00-\u9fff]"
# What may follow a name: nothing Chinese, or a word that no name goes on with.
_NAME_ENDS = (
    r"(?=[^\u4e00-\u9fff]|\Z|先生|女士|小姐|同志|老师|电话|電話|手机|手機|身份|性别|联系|聯繫|地址|职务|職務|部门|邮箱|签字|签名"
    r"|盖章|日期|代表|出生)"
)
_CHINESE_NAME = (
    rf"((?:{_DOUBLE_SURNAMES}){_GIVEN}{{1,2}}{_NAME_ENDS}|[{_SURNAMES}]{_GIVEN}{{1,2}}{_NAME_ENDS}"
    rf"|[{_SURNAMES}]{_GIVEN}(?=先生|女士)|{_GIVEN}{{1,6}}·{_GIVEN}{{1,8}})"
)
_LABELS = (
    "姓名|联系人|聯繫人|聯絡人|法定代表人|法人代表|法人|负责人|負責人|经办人|收件人|收货人|寄件人|签字人|签署人|签收人|申请人|代理人"
    "|授权代表|审批人|审核人|批准人|编制人|制单人|项目经理|客户经理|业务员|担保人|保证人|借款人|出租人|承租人|患者|被保险人|投保人"
    "|受益人|员工|户名|持卡人|[甲乙丙]方代表|[甲乙丙]方签字|签字|签名"
)
_TITLES = "先生|女士|小姐"
_CALLED = re.compile(rf"(?:{_LABELS})[ \t]*(?:[(（][^)）\n]{{0,12}}[)）])?[ \t]*(?:[:：]|是|为)?[ \t]*{_CHINESE_NAME}")
_LABEL_WORDS = re.sub(r"\[.*?\]", "", _LABELS)
_is_called = any_of(_LABEL_WORDS)
_called_names = around(_CALLED, _LABEL_WORDS, before=1, after=60)
_has_title = any_of(_TITLES)
_TITLED = re.compile(rf"([{_SURNAMES}]{_GIVEN}{{1,2}})(?:{_TITLES})")

_WORD = r"[A-Z](?:[a-z]+|[a-z]*['’-]?[A-Z][a-z]+)"
_ENGLISH_NAME = rf"({_WORD}(?: (?:{_WORD}|[A-Z]\.?|van|von|de|der|del|la|bin|al)){{0,3}})"
_SALUTATIONS = (
    r"[Dd]ear (?:(?:Mr|Mrs|Ms|Miss|Dr|Prof)\.? )?|\b(?:Mr|Mrs|Ms|Dr|Prof)\.? |\bMiss |[Ss]igned by:? "
    r"|[Pp]repared by:? |[Aa]pproved by:? |[Rr]eviewed by:? |[Cc]ontact(?: person)?: ?|[Nn]ame: ?|[Aa]ttn\.?:? "
    r"|[Ss]incerely,\s{1,3}|[Rr]egards,\s{1,3}|my name is |[Aa]ccount holder:? |[Bb]eneficiary:? "
)
_GREETINGS = (
    "ear |Mr|Ms|Dr|Miss |Prof|igned by|repared by|pproved by|eviewed by|ontact|ame:|ttn|incerely|egards|name is"
    "|ccount holder|eneficiary"
)
_greets = any_of(_GREETINGS)
_GREETED = re.compile(rf"(?:{_SALUTATIONS})(?:(?:Mr|Mrs|Ms|Miss|Dr|Prof)\.? )?{_ENGLISH_NAME}")
_greeted_names = around(_GREETED, _GREETINGS, before=4, after=160)
_NOBODY = re.compile(
    "(?:Sirs?|Madams?|Customers?|Team|All|Colleagues?|Hiring|Manager|Friends?|Clients?|Users?|Valued|Partners?|Students?"
    "|Parents?|Members?|Employees?|Suppliers?|Applicant|Readers?|Editor|Everyone|Candidate|Shareholders?|Board|Guests?"
    r"|Residents?|The|This|Your|Our|Mr|Mrs|Ms|Miss|Dr|Prof)\b"
)


def may_hold_names(text: str) -> bool:
    """Whether a word stands in `text` that could announce a name."""
    return _is_called(text) or _has_title(text) or _greets(text)


def find_names(text: str) -> list[Span]:
    """Names that a label, a salutation or a title announces, in Chinese and in English."""
    spans = [match.span(1) for match in _called_names(text)]
    if _has_title(text):
        spans += [match.span(1) for match in _TITLED.finditer(text)]
    greeted = (match for match in _greeted_names(text) if not _NOBODY.match(match.group(1)))
    return spans + [match.span(1) for match in greeted]
