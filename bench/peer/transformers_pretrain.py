#!/usr/bin/env python3
"""Pre-trains a BERT with transformers' Trainer, as its examples do.

The first rung of `npm run bench -- quality`: PostLN, learned positions, AdamW
with warm-up, linear decay and BERT's weight decay of 0.01, masked tokens,
everything else as transformers has it by default. A run that was stopped is
resumed from its folder. It prints one JSON object.

  python3 bench/peer/transformers_pretrain.py --sequences sequences.u16 \\
      --tokenizer tokenizer.json --steps 4000 --out runs/bert

`--sequences` holds uint16 token ids, [number of sequences, length], with
[CLS] and [SEP] in their places.
"""
import argparse
import json
import statistics
import time

import numpy
import torch
import transformers
from transformers.trainer_utils import get_last_checkpoint


class Sequences(torch.utils.data.Dataset):
    def __init__(self, path, length):
        self.ids = numpy.memmap(path, dtype="<u2", mode="r")
        self.ids = self.ids.reshape(-1, length)

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, index):
        return {"input_ids": self.ids[index].astype("int64")}


class StepTimes(transformers.TrainerCallback):
    """Seconds from the end of each step to the end of the next."""

    def __init__(self):
        self.ends = []

    def on_step_end(self, *_, **__):
        self.ends.append(time.perf_counter())

    def seconds(self):
        return [b - a for a, b in zip(self.ends, self.ends[1:])][2:]


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    for name in "sequences", "tokenizer", "out":
        add(f"--{name}", required=True)
    for name, default in (
        ("length", 128), ("layers", 12), ("hidden", 128), ("heads", 2),
        ("batch", 32), ("steps", 1000), ("seed", 1), ("threads", 2),
        ("save-every", 500),
    ):
        add(f"--{name}", type=int, default=default)
    add("--learning-rate", type=float, default=1e-4)
    add("--warmup-ratio", type=float, default=0.05)
    add("--bf16", action="store_true")
    return parser.parse_args()


def main():
    options = parse_options()
    torch.set_num_threads(options.threads)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=options.tokenizer,
        **{
            f"{name}_token": f"[{name.upper()}]"
            for name in ("pad", "unk", "cls", "sep", "mask")
        },
    )
    transformers.set_seed(options.seed)
    model = transformers.BertForMaskedLM(
        transformers.BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=options.hidden,
            num_hidden_layers=options.layers,
            num_attention_heads=options.heads,
            intermediate_size=4 * options.hidden,
            max_position_embeddings=options.length,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    times = StepTimes()
    trainer = transformers.Trainer(
        model=model,
        args=transformers.TrainingArguments(
            output_dir=options.out,
            max_steps=options.steps,
            per_device_train_batch_size=options.batch,
            learning_rate=options.learning_rate,
            warmup_steps=round(options.warmup_ratio * options.steps),
            lr_scheduler_type="linear",
            weight_decay=0.01,
            bf16=options.bf16,
            use_cpu=True,
            seed=options.seed,
            save_steps=options.save_every,
            save_total_limit=1,
            logging_steps=100,
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Sequences(options.sequences, options.length),
        data_collator=transformers.DataCollatorForLanguageModeling(tokenizer),
        callbacks=[times],
    )
    result = trainer.train(
        resume_from_checkpoint=get_last_checkpoint(options.out)
    )
    model.save_pretrained(f"{options.out}/model")
    tokenizer.save_pretrained(f"{options.out}/model")
    versions = f"{transformers.__version__}, pytorch {torch.__version__}"
    print(
        json.dumps(
            {
                "peer": f"transformers {versions}",
                "steps": trainer.state.global_step,
                "loss": result.training_loss,
                "step_s_median": statistics.median(times.seconds() or [0]),
                "step_s_mean": statistics.mean(times.seconds() or [0]),
            }
        )
    )


if __name__ == "__main__":
    main()
