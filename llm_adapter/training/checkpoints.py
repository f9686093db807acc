"""Write checkpoints that are complete or absent, and continue a stopped run as if it had never stopped.

transformers writes checkpoint-N in place and forgets the sums since the last log. Here a checkpoint is written with
those sums in a hidden folder beside and renamed once it is on the disk, and the last step is always logged. Ctrl-C and
SIGTERM end the run after the current optimiser step, with a checkpoint. (transformers' `enable_jit_checkpoint` knows
SIGTERM only and may save between a batch and its step; a resumed run would then draw other random numbers.)

The private names of Trainer that this relies on are listed in tests/llm_adapter/training/test_checkpoints.py.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from transformers import Trainer, TrainerCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, rotate_checkpoints

from ..arguments.command import complain
from ..arguments.names import LOADED
from .resume import FILE
from .sharding import of_first_process

INCOMPLETE = ".incomplete"  # folder in output_dir for files that are being written
WRITER = "PytorchStreamWriter"  # in the RuntimeError of torch.save on a full disk
PAUSE = 30  # seconds until a full disk is tried again
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Unwritten(OSError):
    """A disk did not take what a process wrote; all processes have this error."""


class ResumableTrainer(Trainer):
    """Trainer with complete checkpoints; a subclass says by `window` and `set_window` what it sums between two logs."""

    model: nn.Module  # Trainer's annotation allows None

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.stopped_by: signal.Signals | None = None  # the signal that ended training early
        self.settings: dict[str, Any] = {}  # what decides the run's course, kept in its checkpoints
        self._writing_in: Path | None = None
        self.add_callback(_Hooks(self))

    @property
    def output(self) -> Path:
        """The run's folder."""
        assert self.args.output_dir is not None  # TrainingArguments has a default
        return Path(self.args.output_dir)

    def window(self) -> tuple[dict[str, Tensor], dict]:
        """Return the sums of this process since the last log: tensors, and values for JSON."""
        return {}, {}

    def set_window(self, tensors: Mapping[str, Tensor], values: Mapping) -> None:
        """Take over what `window` returned in the run that saved it."""

    def train(self, resume_from_checkpoint: str | None = None, **kwargs):
        """Remove a killed run's unfinished files and train; SIGINT or SIGTERM ends training after the current step."""
        unfinished = self.output / INCOMPLETE
        if self.args.should_save and unfinished.exists():
            names = ", ".join(sorted(path.name for path in unfinished.iterdir())) or "nothing"
            print(f"removed the unfinished files of a stopped run: {names}", flush=True)
            shutil.rmtree(unfinished)

        self.accelerator.wait_for_everyone()
        self._resumed_from = resume_from_checkpoint
        with self._catching_signals():
            return super().train(resume_from_checkpoint=resume_from_checkpoint, **kwargs)

    @contextmanager
    def _catching_signals(self) -> Iterator[None]:
        def note(number: int, _) -> None:
            # Launchers repeat a terminal's Ctrl-C
            if self.stopped_by and self.args.world_size == 1:
                raise KeyboardInterrupt
            self.stopped_by = signal.Signals(number)

        before = {number: signal.signal(number, note) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _agreed_signal(self) -> signal.Signals | None:
        """Return the signal that any process got, the same in all: they must stop after the same step."""
        if self.args.world_size == 1:
            return self.stopped_by

        own = torch.tensor([float(self.stopped_by or 0)], device=self.args.device)
        numbers = self.accelerator.gather(own)
        assert isinstance(numbers, Tensor)  # as a tensor went in
        number = int(numbers.max())

        return signal.Signals(number) if number else None

    def _run_epoch(self, **kwargs) -> None:
        if self.state.global_step < self.state.max_steps:
            super()._run_epoch(**kwargs)
        else:  # resumed from the last step: Trainer would take one more
            self.control.should_training_stop = True

    def _get_output_dir(self, trial) -> str:
        return str(self._writing_in or super()._get_output_dir(trial))

    def _issue_warnings_after_load(self, load_result) -> None:
        """Warn of weights that a checkpoint lacks, except tied ones, which are saved under one name."""
        tied = _tied(self.model)
        missing = [name for name in load_result.missing_keys if name not in tied]
        load_result.missing_keys[:] = missing
        super()._issue_warnings_after_load(load_result)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        if not self._writing_in:
            super()._push_from_checkpoint(checkpoint_folder)

    def _save_checkpoint(self, model, trial) -> None:
        """Write a checkpoint; a full disk costs this checkpoint and not the run, unless the run stops with it."""
        if self.stopped_by:
            self._until_written(lambda: self._write_checkpoint(model, trial))
            return

        try:
            self._write_checkpoint(model, trial)
        except Unwritten as error:
            self._clean_up(
                "checkpoint",
                f"none at step {self.state.global_step}, training goes on ({error})",
            )

    def _write_checkpoint(self, model, trial) -> None:
        output = Path(self._get_output_dir(trial))
        final = output / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        with self._in_hidden_folder(output) as hidden:
            unfinished = hidden / final.name
            self._together(lambda: super(ResumableTrainer, self)._save_checkpoint(model, trial))
            # others may have looked for the folder before it was there
            best = of_first_process(lambda: self.state.best_model_checkpoint, self.args)
            self.state.best_model_checkpoint = str(final) if best == str(unfinished) else best
            if best == str(unfinished):
                self._once(self.state.save_to_json, unfinished / "trainer_state.json")
            self._together(lambda: self._save_window(unfinished))

        self._once(_put_in_place, unfinished, final)
        if self.args.push_to_hub:
            self._push_from_checkpoint(str(final))

        if self.args.should_save:
            rotate_checkpoints(
                output_dir=str(output),
                save_total_limit=self.args.save_total_limit,
                best_model_checkpoint=self.state.best_model_checkpoint,
                use_mtime=True,
            )

    def save_final_model(self) -> None:
        """Save the model and its tokenizer in `output_dir`, each file complete or absent; all processes call it."""
        if self.is_fsdp_enabled:  # a checkpoint may be in shards, the model may not
            plugin = self.accelerator.state.fsdp_plugin
            assert plugin is not None  # as FSDP is on
            plugin.set_state_dict_type("FULL_STATE_DICT")

        self._until_written(self._write_final_model)
        if self.args.push_to_hub:
            self.push_to_hub(revision=self.args.hub_revision)

    def _write_final_model(self) -> None:
        with self._in_hidden_folder(self.output) as hidden:
            self._together(lambda: self.save_model(str(hidden / "model"), _internal_call=True))
        self._once(_put_files_in_place, hidden / "model", self.output)

    @contextmanager
    def _in_hidden_folder(self, output: Path) -> Iterator[Path]:
        self._writing_in = output / INCOMPLETE
        try:
            yield self._writing_in
        finally:
            self._writing_in = None

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        """Save as Trainer does, tied weights under one name; where shards were gathered, each name has a copy."""
        if state_dict is not None:
            tied = _tied(self.model)
            state_dict = {name: value for name, value in state_dict.items() if name not in tied}
        super()._save(output_dir, state_dict)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the model as Trainer does; a full disk is an error in all processes."""
        self._together(lambda: super(ResumableTrainer, self).save_model(output_dir, _internal_call))

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        save = super()._save_optimizer_and_scheduler
        self._together(lambda: save(output_dir))

    def _save_rng_state(self, output_dir: str) -> None:
        save = super()._save_rng_state
        self._together(lambda: save(output_dir))

    def _together(self, write: Callable[[], object]) -> None:
        """Call `write` in all processes; if the disk fails one of them, raise in all: the others would wait for it.

        Raises:
            Unwritten: a disk that is full, or not there.
        """
        failure = None
        try:
            write()
        except BaseException as error:  # a checkpoint in shards raises no Exception
            failure = disk_failure(error)
            if failure is None:
                raise

        failed = torch.tensor([float(failure is not None)], device=self.args.device)
        if self.args.world_size > 1:
            flags = self.accelerator.gather(failed)
            assert isinstance(flags, Tensor)  # as a tensor went in
            failed = flags

        if failed.any():
            raise Unwritten(failure or "another process could not write")

    def _until_written(self, write: Callable[[], None]) -> None:
        """Call `write` until the disk takes it: trained weights are in memory alone until then."""
        while True:
            try:
                return write()
            except Unwritten as error:
                self._clean_up(
                    "output_dir",
                    f"expected to write to {self.output}, got: {error}. The weights are kept in memory; "
                    f"make room there, the run tries again every {PAUSE} s (Ctrl-C gives them up)",
                )
                time.sleep(PAUSE)

    def _clean_up(self, name: str, reason: str) -> None:
        """Say why nothing was written, and remove what was begun."""
        if self.args.process_index == 0:
            complain(name, reason, "warning")
        if self.args.should_save:
            shutil.rmtree(self.output / INCOMPLETE, ignore_errors=True)
        self.accelerator.wait_for_everyone()

    def _once(self, action: Callable[..., object], *paths: Path) -> None:
        """Run `action` in the process that writes, when all have come here and before any continues."""
        self.accelerator.wait_for_everyone()
        self._together(lambda: action(*paths) if self.args.should_save else None)

    def _save_window(self, folder: Path) -> None:
        tensors, values = self.window()
        tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
        tensors |= {"trainer.loss": self._tr_loss}
        values = values | {"trainer.logged": self._globalstep_last_logged}
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, folder / self._window_name(), {"values": json.dumps(values)})
        if self.args.should_save:
            (folder / FILE).write_text(json.dumps(self.settings, indent=1), encoding="utf-8")

    def _load_window(self, folder: str | None) -> None:
        path = Path(folder or "") / self._window_name()
        if not folder or not path.exists():
            return

        tensors = {name: tensor.to(self.args.device) for name, tensor in load_file(path).items()}
        with safe_open(path, "pt") as file:
            values = json.loads(file.metadata()["values"])

        self._tr_loss.copy_(tensors.pop("trainer.loss"))
        self._globalstep_last_logged = values.pop("trainer.logged")
        self.set_window(tensors, values)

    def _window_name(self) -> str:
        return f"window_{self.args.process_index}.safetensors"


def _tied(model: nn.Module) -> set[str]:
    """Return the further names of weights that have several."""
    once = dict(model.named_parameters()).keys()
    return dict(model.named_parameters(remove_duplicate=False)).keys() - once


def disk_failure(error: BaseException) -> str | None:
    """Return what an error says of the disk, or None for any other error.

    >>> disk_failure(OSError(28, "No space left on device")), disk_failure(ValueError("beta"))
    ('[Errno 28] No space left on device', None)
    """
    if isinstance(error, CheckpointException):  # of one process or more, by rank
        failures: dict[int, Any] = error.failures  # type: ignore  # no property of its base class
        causes = [disk_failure(wrapped[0]) for wrapped in failures.values()]
        return next(iter(causes), None) if all(causes) else None

    disk = isinstance(error, OSError | SafetensorError) or WRITER in str(error)
    return str(error) if disk else None


class _Hooks(TrainerCallback):
    def __init__(self, trainer: ResumableTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(self, args, state, control, **kwargs):
        self.trainer._load_window(self.trainer._resumed_from)

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step >= state.max_steps and args.logging_strategy != "no":
            control.should_log = True
        if number := self.trainer._agreed_signal():
            self.trainer.stopped_by = number
            control.should_save = control.should_training_stop = True


def save_whole(final: Path, save: Callable[[Path], object]) -> None:
    """Let `save` fill a folder that takes its place complete or not at all; an older one is replaced.

    Raises:
        Unwritten: a disk that is full, or not there.
    """
    hidden = final.with_name(f".{final.name}{INCOMPLETE}")
    shutil.rmtree(hidden, ignore_errors=True)  # of a save that was killed
    folder = hidden / final.name
    folder.mkdir(parents=True)
    try:
        save(folder)
    except Exception as error:
        if reason := disk_failure(error):
            raise Unwritten(
                f"{final}: expected room on the disk, got: {reason} (make some, and repeat the command)"
            ) from None
        raise

    _put_in_place(folder, final)


def _put_in_place(folder: Path, final: Path) -> None:
    """Rename a folder once its content is on the disk; an older folder of that name is moved away first."""
    _reach_disk(folder)
    replaced = folder.with_name(f"replaced-{final.name}")
    if final.exists():
        final.rename(replaced)
    folder.rename(final)
    shutil.rmtree(replaced, ignore_errors=True)
    shutil.rmtree(folder.parent, ignore_errors=True)


def _put_files_in_place(folder: Path, final: Path) -> None:
    """Move the files of a folder into another once they are on the disk, the weights last.

    What a former save left there, and this one did not write, goes first: an adapter, a single file of weights or a
    chat template would be loaded in place of the new model, or with it. A run that is killed in between leaves weights
    that lack a file, or the former ones, and never a mixture. Files that no save writes stay.
    """
    _reach_disk(folder)
    saved = {path.name for path in folder.iterdir()}
    for path in (path for pattern in LOADED for path in final.glob(pattern)):
        if path.name not in saved and path.is_file():
            path.unlink()

    for path in sorted(folder.iterdir(), key=lambda path: path.suffix == ".safetensors"):
        path.replace(final / path.name)
    shutil.rmtree(folder.parent, ignore_errors=True)


def _reach_disk(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
