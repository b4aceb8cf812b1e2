#!/usr/bin/env python3
"""Times training steps of models of transformers in PyTorch.

`npm run bench -- models` compares taper with this program. It takes flags of
`taper-lm bench step`, does the same work on random tokens, and prints one JSON
object with the same keys. It needs PyTorch 2.4 and transformers 5, or newer.

  python3 bench/peer/transformers_models.py --preset ettin-32m --dtype bf16
  python3 bench/peer/transformers_models.py --preset llama-mini --threads 2

Attention is PyTorch's scaled_dot_product_attention, and AdamW the fused one.
Encoders compute logits of masked tokens only (`sparse_prediction`), as taper
does; with --all-logits of all tokens, which is transformers' default.
"""
import argparse
import json
import os
import resource
import statistics
import time

# Large tensors in large pages: less time for page faults.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
# Waiting threads sleep soon, as taper's do: faster on a busy machine.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import torch  # noqa: E402 (it reads these variables)
import transformers  # noqa: E402
from torch import nn  # noqa: E402

MASK_RATE = 0.3  # of the encoders


def encoder(layers, hidden):
    return {
        "model_type": "modernbert",
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "num_attention_heads": hidden // 64,
        "intermediate_size": hidden * 3 // 2,
    }


def decoder(layers, hidden, heads, key_value_heads):
    return {
        "model_type": "llama",
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "num_key_value_heads": key_value_heads,
        "intermediate_size": hidden * 8 // 3,
        "tie_word_embeddings": True,
        "use_cache": False,
    }


PRESETS = {
    "ettin-17m": encoder(7, 256),
    "ettin-32m": encoder(10, 384),
    "ettin-68m": encoder(19, 512),
    "modernbert-base": encoder(22, 768),
    "llama-mini": decoder(12, 384, 6, 2),
    "smollm2-135m": decoder(30, 576, 9, 3),
}


def make_model(options):
    ids = dict.fromkeys(
        ("pad", "bos", "eos", "cls", "sep"), 0
    )  # transformers' own are beyond a small vocabulary
    config = transformers.AutoConfig.for_model(
        **PRESETS[options.preset],
        vocab_size=options.vocab,
        max_position_embeddings=max(8, options.seq),
        **{f"{name}_token_id": value for name, value in ids.items()},
    )
    config._attn_implementation = "sdpa"
    config.sparse_prediction = not options.all_logits
    is_encoder = config.model_type == "modernbert"
    auto = (
        transformers.AutoModelForMaskedLM
        if is_encoder
        else transformers.AutoModelForCausalLM
    )
    model = auto.from_config(config)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.02)
    return model.to(options.device).train(), is_encoder


def random_batch(options, is_encoder):
    shape = options.batch, options.seq
    tokens = torch.randint(options.vocab, shape)
    labels = tokens.clone()
    if is_encoder:
        masked = torch.randperm(tokens.numel())
        labels.view(-1)[masked[int(tokens.numel() * MASK_RATE):]] = -100
    return tokens.to(options.device), labels.to(options.device)


def make_optimizer(model):
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    groups = [
        {"params": matrices, "weight_decay": 0.01},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=1e-4, eps=1e-6, fused=True)


def parse_options():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--preset", choices=PRESETS, required=True)
    for name, default in (
        ("vocab", 30522), ("seq", 128), ("batch", 32),
        ("steps", 10), ("warmup", 3),
    ):
        add(f"--{name}", type=int, default=default)
    add("--threads", type=int, default=0, help="0 is PyTorch's choice")
    add("--dtype", choices=["fp32", "bf16"], default="fp32")
    add("--device", default="cpu")
    add("--all-logits", action="store_true", help="not of masked tokens only")
    add("--compile", action="store_true", help="use torch.compile")
    return parser.parse_args()


def main():
    options = parse_options()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    on_gpu = options.device.startswith("cuda")
    synchronize = torch.cuda.synchronize if on_gpu else lambda: None
    autocast = torch.autocast(
        "cuda" if on_gpu else "cpu",
        dtype=torch.bfloat16,
        enabled=options.dtype == "bf16",
    )
    model, is_encoder = make_model(options)
    optimizer = make_optimizer(model)
    run = torch.compile(model) if options.compile else model
    seconds = []
    for step in range(options.warmup + options.steps):
        tokens, labels = random_batch(options, is_encoder)
        synchronize()
        started = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with autocast:
            loss = run(input_ids=tokens, labels=labels).loss
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        synchronize()
        if step >= options.warmup:
            seconds.append(time.perf_counter() - started)

    mean = statistics.mean(seconds)
    if on_gpu:
        peak_memory = torch.cuda.max_memory_allocated() / 2**20
    else:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        peak_memory = usage.ru_maxrss / 2**10  # from KiB
    versions = f"{transformers.__version__}, pytorch {torch.__version__}"
    num_parameters = sum(p.numel() for p in model.parameters())
    result = {
        "peer": f"transformers {versions}",
        **vars(options),
        "params_m": round(num_parameters / 1e6, 2),
        "mean_layers_run": model.config.num_hidden_layers,
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
