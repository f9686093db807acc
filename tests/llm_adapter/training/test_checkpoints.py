"""What the trainers take from the inside of transformers' own."""

import inspect

import pytest
import transformers
from transformers import Trainer

from llm_adapter.training.checkpoints import ResumableTrainer
from llm_adapter.training.trainer import PreferenceTrainer

OVERRIDDEN = {  # private methods of Trainer that ours replace → their parameters
    "_get_output_dir": ["trial"],
    "_issue_warnings_after_load": ["load_result"],
    "_prepare_input": ["data"],
    "_push_from_checkpoint": ["checkpoint_folder"],
    "_run_epoch": None,  # passed on as they come
    "_save_checkpoint": ["model", "trial"],
}
READ = ("_globalstep_last_logged", "_prepare_inputs", "_tr_loss")  # private names that ours read
RELEASE = f"transformers {transformers.__version__}"


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_each_private_method_that_we_replace_is_there_and_takes_what_it_took(name):
    assert hasattr(Trainer, name), f"{RELEASE} has no Trainer.{name}"
    _, *parameters = inspect.signature(getattr(Trainer, name)).parameters
    expected = OVERRIDDEN[name] or parameters
    assert parameters == expected, f"{RELEASE}: Trainer.{name} takes {parameters}, not {expected}"


def test_the_list_of_private_methods_is_complete():
    ours = {*vars(ResumableTrainer), *vars(PreferenceTrainer)}
    assert {
        name for name in ours & vars(Trainer).keys() if name[0] == "_" != name[1]
    } == OVERRIDDEN.keys()


@pytest.mark.parametrize("name", READ)
def test_each_private_name_that_we_read_is_there(name):
    assert f"self.{name}" in inspect.getsource(Trainer), f"{RELEASE}: Trainer uses no {name}"
