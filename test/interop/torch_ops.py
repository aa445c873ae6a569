"""What ops mean, said again with PyTorch: the independent side of the samples. Each takes the inputs in order (absent ones None) and the settings by name."""

import math

import torch
import torch.nn.functional as F


def attend(q, k, v, keep=None, bias=None, sinks=None, causal=False, window=math.inf, chunk=math.inf, softcap=math.inf, scale=None, **_):
    rows, columns, heads = q.shape[-2], k.shape[-2], q.shape[-3]
    at = torch.arange(rows)[:, None] + columns - rows
    column = torch.arange(columns)[None, :]
    seen = torch.ones(rows, columns, dtype=torch.bool)
    if causal:
        seen = seen & (column <= at)
    if math.isfinite(window):
        seen = seen & (column > at - window)
    if math.isfinite(chunk):
        seen = seen & (torch.div(column, chunk, rounding_mode="floor") == torch.div(at, chunk, rounding_mode="floor"))
    if keep is not None:
        if list(keep.shape) == [q.shape[0], columns]:
            keep = keep[:, None, None, :]
        elif keep.dim() == 3:
            keep = keep[:, None]
        seen = seen & keep
    blind = ~seen.expand(*q.shape[:-1], columns).any(-1, keepdim=True)
    plain = bias is None and sinks is None and not math.isfinite(softcap) and q.dim() == 4 and k.shape[0] == q.shape[0]
    if plain:
        mask = torch.where(blind, True, seen.expand(*q.shape[:-1], columns))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale, enable_gqa=heads != k.shape[-3])
        return torch.where(blind, 0.0, y)
    k, v = (x.repeat_interleave(heads // x.shape[-3], dim=-3) for x in (k, v))
    scores = q @ k.transpose(-1, -2) * (scale or q.shape[-1] ** -0.5)
    if math.isfinite(softcap):
        scores = softcap * torch.tanh(scores / softcap)
    if bias is not None:
        scores = scores + bias
    scores = scores.masked_fill(~seen, -torch.inf)
    if sinks is not None:
        scores = torch.cat([scores, sinks[:, None, None].expand(*scores.shape[:-1], 1)], dim=-1)
    shares = torch.softmax(scores, dim=-1).nan_to_num(0.0)[..., :columns]
    return shares @ v


def rope(x, frequencies, positions=None, pairs="half", **_):
    rows = x.shape[-2]
    positions = torch.arange(rows) if positions is None else positions
    angles = positions[..., None].to(x.dtype) * frequencies
    if positions.dim() > 1:
        angles = angles[:, None]
    turned, rest = x[..., : 2 * len(frequencies)], x[..., 2 * len(frequencies) :]
    if pairs == "half":
        numbers = torch.complex(*turned.chunk(2, dim=-1))
    else:
        numbers = torch.view_as_complex(turned.reshape(*turned.shape[:-1], -1, 2).contiguous())
    numbers = numbers * torch.polar(torch.ones_like(angles), angles)
    y = torch.cat([numbers.real, numbers.imag], dim=-1) if pairs == "half" else torch.view_as_real(numbers).flatten(-2)
    return torch.cat([y, rest], dim=-1)


def cross_entropy(logits, labels, smoothing=0.0, ignore=-100, **_):
    loss = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), label_smoothing=smoothing, ignore_index=ignore)
    return loss.nan_to_num(0.0)


def scatter_add(t, y, n, lead=None, **_):
    lead = (1 if t.dim() > 1 else 0) if lead is None else lead
    front = t.shape[:lead]
    rows = t.reshape(*front, -1, 1).expand(*front, -1, y.shape[-1])
    return torch.zeros(*front, int(n), y.shape[-1], dtype=y.dtype).scatter_add(lead, rows, y.reshape(rows.shape))


def rows(x, t):
    lead = x.dim() - 2
    picked = t.reshape(*t.shape[:lead], -1, 1).expand(*t.shape[:lead], -1, x.shape[-1])
    return x.gather(lead, picked).reshape(*t.shape, x.shape[-1])


def top(x, k):
    return x.sort(dim=-1, descending=True, stable=True).indices[..., : int(k)]


TORCH = {
    "attend": attend,
    "rope": rope,
    "cross_entropy": cross_entropy,
    "scatter_add": scatter_add,
    "rows": rows,
    "top": top,
    "gather": lambda table, ids: table[ids],
    "take": lambda x, ids: x.gather(-1, ids),
    "one_hot": lambda ids, n: ((ids >= 0)[..., None] & (ids[..., None] == torch.arange(int(n)))).float(),
    "layer_norm": lambda x, gain, bias=None, eps=1e-5: F.layer_norm(x, gain.shape, gain, bias, eps),
    "rms_norm": lambda x, gain, eps=1e-5: F.rms_norm(x, gain.shape, gain, eps),
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "relu": F.relu,
    "softplus": F.softplus,
    "sigmoid": torch.sigmoid,
    "erf": torch.erf,
    "rsqrt": torch.rsqrt,
    "mod": torch.remainder,
    "div": lambda a, b: a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc"),
    "matmul": torch.matmul,
    "softmax": lambda x, axis: torch.softmax(x, axis),
    "log_softmax": lambda x, axis: torch.log_softmax(x, axis),
    "cumsum": lambda x, axis: torch.cumsum(x, axis),
    "cv2": lambda x: x.var(-1) / (x.mean(-1) ** 2 + 1e-10),
    "sum": lambda x, axis, keep: x.sum(axis, keepdim=keep),
    "mean": lambda x, axis, keep: x.mean(axis, keepdim=keep),
    "max": lambda x, axis, keep: x.amax(axis, keepdim=keep),
    "min": lambda x, axis, keep: x.amin(axis, keepdim=keep),
    "split_heads": lambda x, heads: x.unflatten(-1, (int(heads), -1)).transpose(-2, -3),
    "merge_heads": lambda x: x.transpose(-2, -3).flatten(-2),
    "repeat_axis": lambda x, n, axis: x.repeat(*[int(n) if i == axis % x.dim() else 1 for i in range(x.dim())]),
    "permute": lambda x, order: x.permute(order),
    "transpose": lambda x: x.transpose(-1, -2),
}
