"""Backbones against their formulas, one number at a time in numpy, and against torch's own attention."""

import numpy as np
import torch
from numpy.testing import assert_allclose
from torch import nn

from tests.uplift.recommender.test_backbones import ITEMS, LENGTH, WIDTH, made, padded, scores
from uplift.recommender.backbones.sequence import _Block

HISTORY = [3, 1, 4, 1, 5]


def arrays(net):
    return {name: p.detach().numpy() for name, p in net.named_parameters()}


def prelu(x, slope):
    return np.where(x > 0, x, slope * x)


def interest(P, events, c):
    """sum_j (w . prelu(A h_j + B c + C (h_j * c) + b) + b_a) h_j over item vectors h_j, c the candidate's."""
    u = np.zeros(WIDTH)
    for h in events:
        fit = P["event.weight"] @ h + P["event.bias"] + P["candidate.weight"] @ c + P["product.weight"] @ (h * c)
        u += (P["weight.weight"][0] @ prelu(fit, P["slope"]) + P["weight.bias"][0]) * h
    return u


def test_din_by_its_formula():
    """v . prelu(U u + V c + W (u * c) + b') + b_v + bias_c, event by event and item by item, through a plugin too."""
    net = made("din")
    P = arrays(net)
    E = P["items.weight"]
    for adapt in (None, lambda x: 0.5 * x + 1):
        found = scores(net, net.last(padded(HISTORY)), None, adapt)[0]
        for item in range(1, ITEMS + 1):
            c, u = E[item], interest(P, E[HISTORY], E[item])
            u = u if adapt is None else adapt(u)
            hidden = P["user.weight"] @ u + P["user.bias"] + P["other.weight"] @ c + P["both.weight"] @ (u * c)
            score = P["out.weight"][0] @ prelu(hidden, P["out_slope"]) + P["out.bias"][0] + P["bias.weight"][item, 0]
            assert_allclose(found[item - 1], score, rtol=1e-10)
    mean = E[HISTORY].mean(axis=0)
    assert_allclose(net.vector(net.last(padded(HISTORY)))[0].detach(), interest(P, E[HISTORY], mean), rtol=1e-10)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_gru_step_by_step():
    """r, z, n of each event in turn, in the order of the rows of torch's weights; h from zero."""
    net = made("gru4rec")
    P, h = arrays(net), np.zeros(WIDTH)
    E = P["items.weight"]
    states = net.states(padded(HISTORY)).detach().numpy()
    for t, item in enumerate(HISTORY):
        x = E[item] * np.sqrt(WIDTH)
        of_x = np.split(P["encoder.gru.weight_ih_l0"] @ x + P["encoder.gru.bias_ih_l0"], 3)
        of_h = np.split(P["encoder.gru.weight_hh_l0"] @ h + P["encoder.gru.bias_hh_l0"], 3)
        r, z = sigmoid(of_x[0] + of_h[0]), sigmoid(of_x[1] + of_h[1])
        h = (1 - z) * np.tanh(of_x[2] + r * of_h[2]) + z * h
        assert_allclose(states[t], h, rtol=1e-10)
    assert_allclose(scores(net, net.last(padded(HISTORY)))[0], E[1:] @ h, rtol=1e-10)


def standardised(x, P, name):
    centred = x - x.mean(axis=1, keepdims=True)
    return centred / np.sqrt(centred.var(axis=1, keepdims=True) + 1e-5) * P[f"{name}.weight"] + P[f"{name}.bias"]


def test_sasrec_by_loops():
    """Two blocks, one head: for every event the softmax over itself and the events before it, and no other."""
    net = made("sasrec")
    P, n = arrays(net), len(HISTORY)
    E = P["items.weight"]
    x = E[HISTORY] * np.sqrt(WIDTH) + P["encoder.places.weight"][:n]
    for k in range(2):
        at = f"encoder.blocks.{k}"
        normed = standardised(x, P, f"{at}.before_attention")
        q, key, v = np.split(
            normed @ P[f"{at}.query_key_value.weight"].T + P[f"{at}.query_key_value.bias"], 3, axis=1
        )
        attended = np.zeros_like(x)
        for t in range(n):
            a = np.exp([q[t] @ key[j] / np.sqrt(WIDTH) for j in range(t + 1)])
            attended[t] = sum(a[j] * v[j] for j in range(t + 1)) / a.sum()
        x = x + attended @ P[f"{at}.out.weight"].T + P[f"{at}.out.bias"]
        hidden = standardised(x, P, f"{at}.before_forward") @ P[f"{at}.first.weight"].T + P[f"{at}.first.bias"]
        x = x + np.maximum(hidden, 0) @ P[f"{at}.second.weight"].T + P[f"{at}.second.bias"]
    expected = standardised(x, P, "encoder.norm")
    assert_allclose(net.states(padded(HISTORY)).detach(), expected, rtol=1e-9)
    assert_allclose(scores(net, net.last(padded(HISTORY)))[0], E[1:] @ expected[-1], rtol=1e-9)


def test_attention_is_that_of_torch():
    """A block's attention, of one head and of two, against nn.MultiheadAttention with the same weights."""
    torch.manual_seed(0)
    causal = torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril()
    for heads in (1, 2):
        block = _Block(WIDTH, 0.0, heads).double()
        nn.init.zeros_(block.second.weight)
        nn.init.zeros_(block.second.bias)
        peer = nn.MultiheadAttention(WIDTH, heads, batch_first=True, dtype=torch.float64)
        peer.in_proj_weight, peer.in_proj_bias = block.query_key_value.weight, block.query_key_value.bias
        peer.out_proj.load_state_dict(block.out.state_dict())
        x = torch.randn(3, LENGTH, WIDTH, dtype=torch.float64)
        normed = block.before_attention(x)
        expected = x + peer(normed, normed, normed, attn_mask=~causal)[0]
        torch.testing.assert_close(block(x, causal.expand(3, -1, -1)), expected, rtol=1e-10, atol=1e-10)
