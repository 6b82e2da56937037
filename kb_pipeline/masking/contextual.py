"""What the words around it give away: names, postal addresses, and what opens something. Functions over a folded text.

Names and addresses have no check digit and no shape of their own, so these find what a label, a title or a salutation
announces, and no other. A named-entity model finds more.
"""

from __future__ import annotations

import re

from kb_pipeline.masking.cues import any_of

Span = tuple[int, int]

_PREFIXED = re.compile(
    r"(?:(?:AKIA|ASIA)[0-9A-Z]{16}|LTAI[0-9A-Za-z]{12,26}|AKID[0-9A-Za-z]{13,40}|gh[opsu]_[0-9A-Za-z]{36,}|ghr_[0-9A-Za-z]{36,}"
    r"|github_pat_[0-9A-Za-z_]{22,}|glpat-[0-9A-Za-z_-]{20,}|hf_[0-9A-Za-z]{30,}|npm_[0-9A-Za-z]{36}"
    r"|sk-(?:[a-z]+-)*[0-9A-Za-z_-]{20,}|[rs]k_(?:live|test)_[0-9A-Za-z]{16,}|xox[abeprs]-[0-9A-Za-z-]{10,}"
    r"|AIza[0-9A-Za-z_-]{35}|ya29\.[0-9A-Za-z_-]{20,}|eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]*)"
)
_has_prefix = any_of(
    "AKIA", "ASIA", "LTAI", "AKID", "ghp_", "gho_", "ghs_", "ghu_", "ghr_", "github_pat_", "glpat-", "hf_", "npm_", "sk-",
    "k_live_", "k_test_", "xox", "AIza", "ya29.", "eyJ",
)  # fmt: skip
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----BEGIN)[\s\S]){0,20000}?"
    r"(?:-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----|\Z)"
)
_CALLED_SECRET = re.compile(
    r"(?:[Pp]ass(?:word|wd|phrase)|PASSWORD|\bpwd|[Ss]ecret(?:[_ -]?[Kk]ey)?|SECRET(?:_KEY)?|[Aa]pi[_ -]?[Kk]ey|API[_ -]?KEY"
    r"|[Aa]ccess[_ -]?(?:[Kk]ey|[Tt]oken)|[Aa]uth[_ -]?[Tt]oken|TOKEN|[Tt]oken|密码|密碼|口令|密钥|密鑰|令牌)"
    r"[\"'`]?[ \t]{0,3}(?:[:：=]|是|为|is)[ \t]{0,3}[\"'`]?([^\s\"'`<>,，;；。（）()]{6,100})"
)
_says_secret = any_of(
    "ass",
    "PASSWORD",
    "pwd",
    "ecret",
    "SECRET",
    "_KEY",
    "ey",
    "KEY",
    "oken",
    "TOKEN",
    "密码",
    "密碼",
    "口令",
    "密钥",
    "密鑰",
    "令牌",
)

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
_NAME_ENDS = r"(?=[^\u4e00-\u9fff]|\Z|先生|女士|小姐|同志|老师|电话|電話|手机|手機|身份|性别|联系|聯繫|地址|职务|職務|部门|邮箱|签字|签名|盖章|日期|代表|出生)"
_CHINESE_NAME = (
    rf"((?:{_DOUBLE_SURNAMES}){_GIVEN}{{1,2}}{_NAME_ENDS}|[{_SURNAMES}]{_GIVEN}{{1,2}}{_NAME_ENDS}|[{_SURNAMES}]{_GIVEN}(?=先生|女士)"
    rf"|{_GIVEN}{{1,6}}·{_GIVEN}{{1,8}})"
)
_NAME_LABELS = (
    "姓名|联系人|聯繫人|聯絡人|法定代表人|法人代表|法人|负责人|負責人|经办人|收件人|收货人|寄件人|签字人|签署人|签收人|申请人|代理人|授权代表"
    "|审批人|审核人|批准人|编制人|制单人|项目经理|客户经理|业务员|担保人|保证人|借款人|出租人|承租人|患者|被保险人|投保人|受益人|员工|户名|持卡人"
    "|[甲乙丙]方代表|[甲乙丙]方签字|签字|签名"
)
_TITLES = "先生|女士|小姐"
_CALLED_NAME = re.compile(
    rf"(?:{_NAME_LABELS})[ \t]*(?:[(（][^)）\n]{{0,12}}[)）])?[ \t]*(?:[:：]|是|为)?[ \t]*{_CHINESE_NAME}"
)
_calls_name = any_of(*(word for word in _NAME_LABELS.split("|") if "[" not in word), "方代表", "方签字")
_has_title = any_of(*_TITLES.split("|"))
_TITLED_NAME = re.compile(rf"([{_SURNAMES}]{_GIVEN}{{1,2}})(?:{_TITLES})")

_WORD = r"[A-Z](?:[a-z]+|[a-z]*['’-]?[A-Z][a-z]+)"
_ENGLISH_NAME = rf"({_WORD}(?: (?:{_WORD}|[A-Z]\.?|van|von|de|der|del|la|bin|al)){{0,3}})"
_SALUTATIONS = (
    r"[Dd]ear (?:(?:Mr|Mrs|Ms|Miss|Dr|Prof)\.? )?|\b(?:Mr|Mrs|Ms|Dr|Prof)\.? |\bMiss |[Ss]igned by:? |[Pp]repared by:? "
    r"|[Aa]pproved by:? |[Rr]eviewed by:? |[Cc]ontact(?: person)?: ?|[Nn]ame: ?|[Aa]ttn\.?:? |[Ss]incerely,\s{1,3}"
    r"|[Rr]egards,\s{1,3}|my name is |[Aa]ccount holder:? |[Bb]eneficiary:? "
)
_greets = any_of(
    "ear ", "Mr", "Ms", "Dr", "Miss ", "Prof", "igned by", "repared by", "pproved by", "eviewed by", "ontact", "ame:", "ttn",
    "incerely", "egards", "name is", "ccount holder", "eneficiary",
)  # fmt: skip
_GREETED = re.compile(rf"(?:{_SALUTATIONS})(?:(?:Mr|Mrs|Ms|Miss|Dr|Prof)\.? )?{_ENGLISH_NAME}")
_NO_NAMES = frozenset(
    [
        "Sir",
        "Sirs",
        "Madam",
        "Madams",
        "Customer",
        "Customers",
        "Team",
        "All",
        "Colleague",
        "Colleagues",
        "Hiring",
        "Manager",
        "Friend",
        "Friends",
        "Client",
        "Clients",
        "User",
        "Users",
        "Valued",
        "Partner",
        "Partners",
        "Student",
        "Students",
        "Parent",
        "Parents",
        "Member",
        "Members",
        "Employee",
        "Employees",
        "Supplier",
        "Suppliers",
        "Applicant",
        "Reader",
        "Readers",
        "Editor",
        "Everyone",
        "Candidate",
        "Shareholder",
        "Shareholders",
        "Board",
        "Guest",
        "Guests",
        "Resident",
        "Residents",
        "The",
        "This",
        "Your",
        "Our",
    ]
)

_PLACE = r"[^\n，,；;。<>:：|\t]"
_ADDRESS_LABELS = "地址|住址|住所|居住地|户籍地|户籍所在地|通讯处|所在地|注册地"
_CALLED_ADDRESS = re.compile(
    rf"(?:{_ADDRESS_LABELS})[ \t]*(?:[(（][^)）\n]{{0,12}}[)）])?[ \t]*(?:[:：]|是|为|位于)[ \t]*({_PLACE}{{4,60}})"
)
_calls_address = any_of(*_ADDRESS_LABELS.split("|"))
_PARTS = re.compile("[省市区县區縣镇鎮乡鄉村路街道巷弄号號栋幢楼樓室座层]")
_CHINESE_ADDRESS = re.compile(
    r"(?:[\u4e00-\u9fff]{2,6}(?:省|自治区))?[\u4e00-\u9fff]{2,6}市[\u4e00-\u9fff]{1,8}[区县區縣][\u4e00-\u9fff0-9A-Za-z-]{1,24}"
    r"[路街道巷弄镇村][0-9A-Za-z\u4e00-\u9fff-]{0,8}?[0-9]{1,5}[号號弄](?:[0-9A-Za-z\u4e00-\u9fff-]{0,16}(?:[室楼层座]|单元))?"
)
_STREET = (
    "Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Way|Place|Pl|Square|Sq|Terrace|Highway|Hwy|Parkway"
    "|Pkwy|Circle|Trail|Crescent"
)
_ENGLISH_ADDRESS = re.compile(
    rf"[0-9](?<![0-9A-Za-z.,/-].)[0-9]{{0,5}}[A-Za-z]? (?:[NSEW]\.? )?(?:[A-Z][A-Za-z'’.-]*|[0-9]{{1,3}}(?:st|nd|rd|th))(?: [A-Z][A-Za-z'’.-]*){{0,3}}"
    rf" (?:{_STREET})\b\.?(?:,? (?:Apt|Apartment|Suite|Ste|Unit|Floor|Room|#)\.? ?[0-9A-Za-z-]{{1,6}})?"
    r"(?:,? [A-Z][A-Za-z.]+(?: [A-Z][A-Za-z.]+)?)?(?:,? [A-Z]{2},? [0-9]{5}(?:-[0-9]{4})?)?"
)


def may_hold_words(text: str) -> bool:
    """Whether something found here could stand in a text without a digit."""
    return (
        _calls_name(text)
        or _has_title(text)
        or _calls_address(text)
        or _greets(text)
        or "市" in text
        or "PRIVATE KEY" in text
    )


def find_secrets(text: str) -> list[Span]:
    """Keys of services by their prefixes, private keys in PEM, and what is called a password or token and looks made up."""
    spans = [match.span() for match in _PREFIXED.finditer(text)] if _has_prefix(text) else []
    if "PRIVATE KEY" in text:
        spans += [match.span() for match in _PRIVATE_KEY.finditer(text)]
    called = _CALLED_SECRET.finditer(text) if _says_secret(text) else ()
    return spans + [match.span(1) for match in called if _looks_made_up(match.group(1))]


def _looks_made_up(value: str) -> bool:
    """A letter and a digit, and no path, address, variable or placeholder."""
    if value[0] in "$%{[/.\\*" or "://" in value or "..." in value:
        return False
    return any(c.isdigit() for c in value) and any(c.isalpha() for c in value)


def find_names(text: str) -> list[Span]:
    """Names that a label, a salutation or a title announces, in Chinese and in English."""
    spans = [match.span(1) for match in _CALLED_NAME.finditer(text)] if _calls_name(text) else []
    if _has_title(text):
        spans += [match.span(1) for match in _TITLED_NAME.finditer(text)]
    for match in _GREETED.finditer(text) if _greets(text) else ():
        if match.group(1).split()[0] not in _NO_NAMES:
            spans.append(match.span(1))
    return spans


def find_addresses(text: str) -> list[Span]:
    """Postal addresses: what is called one and names a place, and those with a street and a number."""
    spans = [match.span() for match in _ENGLISH_ADDRESS.finditer(text)]
    if "市" in text:
        spans += [match.span() for match in _CHINESE_ADDRESS.finditer(text)]
    if _calls_address(text):
        spans += [match.span(1) for match in _CALLED_ADDRESS.finditer(text) if _PARTS.search(match.group(1))]
    return spans
