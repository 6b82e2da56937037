"""When things happen by themselves: cron expressions and time zones in kb.yaml."""

from __future__ import annotations

import pytest
from dagster._utils.schedules import is_valid_cron_string
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kb_pipeline.settings import AutomationSettings, DefaultSettings, Settings, SourceSettings
from kb_pipeline.settings.times import check_cron, check_timezone

GOOD = ["*/15 * * * *", "0 4 * * 0", "30 2 1-5,7 jan-mar/2 mon-fri", "0 0 31 4 1", "0 0 29 feb *", "* * * * 7"]
BAD = [
    ("", "five fields"),
    ("* * * *", "five fields"),
    ("* * * * * *", "five fields"),
    ("@daily", "five fields"),
    ("60 * * * *", "minute: use 0 to 59"),
    ("5/10 * * * *", "minute: "),
    ("*/0 * * * *", "minute: "),
    ("٣ * * * *", "minute: "),
    ("* 24 * * *", "hour: "),
    ("* 9-5 * * *", "hour: "),
    ("* * 0 * *", "day of the month: "),
    ("* * * 13 *", "month: use 1 to 12"),
    ("* * * mon *", "month: "),
    ("* * * * 8", "day of the week: "),
    ("* * * * 1,,2", "day of the week: "),
    ("0 0 30 feb *", "never come"),
    ("0 0 31 4,6 *", "never come"),
]
fields = st.tuples(
    *(
        st.one_of(
            st.just("*"),
            st.integers(2, 9).map("*/{}".format),
            st.lists(st.integers(least, most).map(str), min_size=1, max_size=3).map(",".join),
            st.tuples(st.integers(least, most), st.integers(least, most)).map(lambda p: f"{min(p)}-{max(p)}/2"),
        )
        for least, most in ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
    )
)


@pytest.mark.parametrize("cron", GOOD)
def test_a_cron_expression(cron: str) -> None:
    assert check_cron(f" {cron.upper()}  ") == cron


@pytest.mark.parametrize(("cron", "reason"), BAD)
def test_what_is_no_cron_expression(cron: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_cron(cron)


@given(fields)
def test_dagster_takes_every_cron_expression_that_is_accepted_here(parts: tuple[str, ...]) -> None:
    cron = " ".join(parts)
    try:
        accepted = check_cron(cron)
    except ValueError:  # a day that no month has
        assert parts[2] != "*"
    else:
        assert is_valid_cron_string(accepted)


@pytest.mark.parametrize("name", ["UTC", "Asia/Shanghai", "America/Argentina/Buenos_Aires"])
def test_a_time_zone(name: str) -> None:
    assert check_timezone(name) == name


@pytest.mark.parametrize("name", ["", "Asia", "Mars/Olympus", "../UTC", "/etc/localtime", "+08:00"])
def test_what_is_no_time_zone(name: str) -> None:
    with pytest.raises(ValueError, match="Asia/Shanghai"):
        check_timezone(name)


def test_the_source_wins_over_the_defaults_and_null_switches_its_schedule_off() -> None:
    settings = Settings(
        automation=AutomationSettings(timezone="Europe/Berlin"),
        defaults=DefaultSettings(cron="0 * * * *"),
        sources={
            "hr": SourceSettings(cron="*/15 * * * *", timezone="Asia/Shanghai"),
            "wiki": SourceSettings(),
            "contracts": SourceSettings(cron=None),
        },
    )
    assert [settings.cron_for(name) for name in ("hr", "wiki", "contracts")] == ["*/15 * * * *", "0 * * * *", None]
    assert [settings.timezone_for(name) for name in ("hr", "wiki")] == ["Asia/Shanghai", "Europe/Berlin"]


def test_nothing_happens_by_itself_until_someone_asks_for_it() -> None:
    assert not Settings().automation.enabled
    assert Settings(sources={"hr": SourceSettings()}).cron_for("hr") is None


@pytest.mark.parametrize("wrong", [{"cron": "never"}, {"timezone": "Asia"}, {"cron": 5}])
def test_a_wrong_time_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SourceSettings.model_validate(wrong)
