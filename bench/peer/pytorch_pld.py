#!/usr/bin/env python3
"""Times training steps of BERT with progressive layer dropping in PyTorch.

`npm run bench` and `npm run check:gpu` compare taper with this program. It
takes flags of `taper-lm bench step`, does the same work on random tokens, and
prints one JSON object with the same keys. It needs PyTorch 1.13 or newer.

  python3 bench/peer/pytorch_pld.py --layers 12 --hidden 256 --dtype bf16
  python3 bench/peer/pytorch_pld.py --theta 0.5
  python3 bench/peer/pytorch_pld.py --device cuda --dtype bf16 --compile

Every step has the keep rates of one θ, as late in training: block l of L is
kept with probability p = 1 - (l / L)(1 - θ), and both branches of a kept
block are multiplied by 1/p.
"""
import argparse
import json
import math
import os
import random
import resource
import statistics
import time

# Large tensors in large pages, from PyTorch 2 on: less time for page faults.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
# Waiting threads sleep soon, as taper's do: faster on a busy machine.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import torch  # noqa: E402 (it reads these variables)
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

MASK_RATE = 0.15
EPSILON = 1e-12  # of BERT's layer normalisations
HAS_FUSED_ATTENTION = hasattr(F, "scaled_dot_product_attention")  # 2.0


class Block(nn.Module):
    def __init__(self, options, keep_rate):
        super().__init__()
        hidden = options.hidden
        self.heads = options.heads
        self.dropout = options.dropout
        self.post_ln = options.postln
        self.scale = 1 / keep_rate if keep_rate else 0  # at 0 it never runs
        # One large product is faster than three.
        self.query_key_value = nn.Linear(hidden, 3 * hidden)
        self.attention_output = nn.Linear(hidden, hidden)
        self.attention_norm = nn.LayerNorm(hidden, eps=EPSILON)
        self.up = nn.Linear(hidden, options.ffn)
        self.down = nn.Linear(options.ffn, hidden)
        self.ffn_norm = nn.LayerNorm(hidden, eps=EPSILON)

    def forward(self, x):
        if self.post_ln:
            x = self.attention_norm(self.add(x, self.attention(x)))
            return self.ffn_norm(self.add(x, self.ffn(x)))
        x = self.add(x, self.attention(self.attention_norm(x)))
        return self.add(x, self.ffn(self.ffn_norm(x)))

    def add(self, x, branch):
        # alpha multiplies and adds in one pass.
        branch = F.dropout(branch, self.dropout)
        return torch.add(x, branch, alpha=self.scale)

    def ffn(self, x):
        return self.down(F.gelu(self.up(x)))

    def attention(self, x):
        batch, seq, hidden = x.shape
        shape = batch, seq, 3, self.heads, hidden // self.heads
        qkv = self.query_key_value(x).view(shape).permute(2, 0, 3, 1, 4)
        p = self.dropout
        # On a CPU, the fused kernel has no dropout, and what PyTorch calls in
        # its place is slower than the plain operations.
        if HAS_FUSED_ATTENTION and (x.is_cuda or p == 0):
            mixed = F.scaled_dot_product_attention(*qkv, dropout_p=p)
        else:
            query, key, value = qkv
            scores = query / math.sqrt(shape[-1]) @ key.transpose(-2, -1)
            mixed = F.dropout(scores.softmax(-1), p) @ value
        return self.attention_output(mixed.transpose(1, 2).reshape(x.shape))


class Bert(nn.Module):
    """BERT with both of its objectives: its output is the loss."""

    def __init__(self, options):
        super().__init__()
        hidden, layers = options.hidden, options.layers
        self.dropout = options.dropout
        self.post_ln = options.postln
        self.keep_rates = [
            1 - (i + 1) / layers * (1 - options.theta) for i in range(layers)
        ]
        self.words = nn.Embedding(options.vocab, hidden)
        self.positions = nn.Embedding(options.seq, hidden)
        self.types = nn.Embedding(2, hidden)
        # After the last block in PreLN, before the first in PostLN.
        self.norm = nn.LayerNorm(hidden, eps=EPSILON)
        self.blocks = nn.ModuleList(Block(options, p) for p in self.keep_rates)
        self.transform = nn.Linear(hidden, hidden)
        self.transform_norm = nn.LayerNorm(hidden, eps=EPSILON)
        self.output_bias = nn.Parameter(torch.zeros(options.vocab))
        self.pooler = nn.Linear(hidden, hidden)
        self.next_sentence = nn.Linear(hidden, 2)
        for parameter in self.parameters():
            if parameter.dim() > 1:  # N(0, 1) embeddings would make denormals
                nn.init.normal_(parameter, std=0.02)

    def forward(self, batch, gates):
        tokens, types, masked, labels, is_next = batch
        x = self.words(tokens) + self.positions.weight + self.types(types)
        if self.post_ln:
            x = self.norm(x)
        x = F.dropout(x, self.dropout)
        for block, gate in zip(self.blocks, gates):
            if gate:
                x = block(x)
        if not self.post_ln:
            x = self.norm(x)
        # Logits are computed for the masked tokens only.
        predicted = x.flatten(0, 1).index_select(0, masked)
        predicted = F.gelu(self.transform(predicted))
        # PyTorch 1.13 cannot normalise bf16 with float32 weights.
        predicted = self.transform_norm(predicted.float())
        logits = F.linear(predicted, self.words.weight, self.output_bias)
        pooled = torch.tanh(self.pooler(x[:, 0]))
        sentence_loss = F.cross_entropy(self.next_sentence(pooled), is_next)
        return F.cross_entropy(logits, labels) + sentence_loss


def random_batch(options):
    num_tokens = options.batch * options.seq
    num_masked = int(num_tokens * MASK_RATE)
    types = torch.arange(options.seq) * 2 // options.seq
    batch = (
        torch.randint(options.vocab, (options.batch, options.seq)),
        types.expand(options.batch, -1),
        torch.randperm(num_tokens)[:num_masked].sort().values,
        torch.randint(options.vocab, (num_masked,)),
        torch.randint(2, (options.batch,)),
    )
    return [tensor.to(options.device) for tensor in batch]


def make_optimizer(model):
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    groups = [
        {"params": matrices, "weight_decay": 0.01},
        {"params": vectors, "weight_decay": 0.0},
    ]
    try:
        return torch.optim.AdamW(groups, lr=1e-4, eps=1e-6, fused=True)
    except (RuntimeError, TypeError):  # before 2.4 on a CPU
        return torch.optim.AdamW(groups, lr=1e-4, eps=1e-6)


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    for name, default in (
        ("layers", 12), ("hidden", 256), ("heads", 4), ("vocab", 30522),
        ("seq", 128), ("batch", 32), ("steps", 10), ("warmup", 3),
    ):
        add(f"--{name}", type=int, default=default)
    add("--ffn", type=int, default=0, help="0 is 4 × hidden")
    add("--threads", type=int, default=0, help="0 is PyTorch's choice")
    add("--dropout", type=float, default=0.1)
    add("--theta", type=float, default=1, help="keep rate of the last block")
    add("--postln", action="store_true", help="PostLN instead of PreLN")
    add("--dtype", choices=["fp32", "bf16"], default="fp32")
    add("--device", default="cpu")
    add("--compile", action="store_true", help="use torch.compile")
    options = parser.parse_args()
    if options.compile and options.theta < 1:
        # Each set of gates would be compiled anew, up to a limit.
        parser.error("--compile needs --theta 1")
    options.ffn = options.ffn or 4 * options.hidden
    return options


def main():
    options = parse_options()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    gate_source = random.Random(1)
    on_gpu = options.device.startswith("cuda")
    synchronize = torch.cuda.synchronize if on_gpu else lambda: None
    autocast = torch.autocast(
        "cuda" if on_gpu else "cpu",
        dtype=torch.bfloat16,
        enabled=options.dtype == "bf16",
    )
    model = Bert(options).to(options.device)
    optimizer = make_optimizer(model)
    run = torch.compile(model) if options.compile else model
    seconds, layers_run = [], []
    for step in range(options.warmup + options.steps):
        batch = random_batch(options)
        synchronize()
        started = time.perf_counter()
        gates = [gate_source.random() < rate for rate in model.keep_rates]
        # Without a gradient, AdamW leaves the skipped blocks as they are.
        optimizer.zero_grad(set_to_none=True)
        with autocast:
            loss = run(batch, gates)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        synchronize()
        if step >= options.warmup:
            seconds.append(time.perf_counter() - started)
            layers_run.append(sum(gates))

    mean = statistics.mean(seconds)
    if on_gpu:
        peak_memory = torch.cuda.max_memory_allocated() / 2**20
    else:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        peak_memory = usage.ru_maxrss / 2**10  # from KiB
    num_parameters = sum(p.numel() for p in model.parameters())
    result = {
        "peer": f"pytorch {torch.__version__}",
        **vars(options),
        "params_m": round(num_parameters / 1e6, 2),
        "mean_layers_run": round(statistics.mean(layers_run), 2),
        "step_s_median": round(statistics.median(seconds), 5),
        "step_s_mean": round(mean, 5),
        "step_s_min": round(min(seconds), 5),
        "tokens_per_s": round(options.batch * options.seq / mean, 1),
        "threads": torch.get_num_threads(),
        "peak_memory_mb": round(peak_memory),
        "loss": round(loss.item(), 4),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
