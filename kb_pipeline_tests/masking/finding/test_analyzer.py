"""The analyzer: Presidio with our recognizers alone, loaded when needed and once a process."""

import subprocess
import sys

from presidio_analyzer.nlp_engine import NoOpNlpEngine

from kb_pipeline.masking import warm_up
from kb_pipeline.masking.finding.recognizers import analyzer
from kb_pipeline_tests.masking.synthetic import POLICY


def test_importing_masking_does_not_load_presidio() -> None:
    program = "import sys, kb_pipeline.masking; sys.exit('presidio_analyzer' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_one_analyzer_serves_the_process() -> None:
    warm_up()
    assert analyzer() is analyzer()


def test_it_has_a_recognizer_for_every_entity_of_the_policy_and_no_language_model() -> None:
    assert set(analyzer().get_supported_entities()) == set(POLICY.entities)
    assert isinstance(analyzer().nlp_engine, NoOpNlpEngine)
