"""The payment service of the example: only the shop may charge, whoever reaches it may look and refund."""
# ruff: noqa: INP001 - three scripts that are copied into one folder of an image

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from api import RefusedError, Request, Route, State, serve


def find(state: State, key: str) -> dict[str, Any]:
    """Give the charge of that id."""
    for charge in state["charges"]:
        if charge["id"] == key:
            found: dict[str, Any] = charge
            return found
    raise RefusedError(404, f"there is no charge {key}")


def make_charge(state: State, request: Request) -> object:
    """Charge a card for an order of the shop."""
    if request.key != os.environ["SHOP_KEY"]:
        raise RefusedError(401, "only the shop may charge a card; place an order there")
    card = request.text("card")
    if card not in state["cards"]:
        raise RefusedError(402, f"there is no card {card}")
    charge: dict[str, Any] = {"id": f"ch-{len(state['charges']) + 1}", "order": request.text("order")}
    charge |= {"amount_cents": request.whole("amount_cents"), "card": card, "refunded_cents": 0}
    state["charges"].append(charge)
    return charge


def make_refund(state: State, request: Request) -> object:
    """Give back a part of a charge, or all of it."""
    charge, amount, reason = find(state, request.text("charge")), request.whole("amount_cents"), request.text("reason")
    if charge["refunded_cents"] + amount > charge["amount_cents"]:
        raise RefusedError(409, "more than was charged")
    charge["refunded_cents"] += amount
    return {"charge": charge["id"], "amount_cents": amount, "reason": reason}


ROUTES = (
    Route("GET", "/charges", lambda state, _: state["charges"]),
    Route("GET", "/charges/{charge}", lambda state, _, key: find(state, key)),
    Route("POST", "/charges", make_charge, '{"order": "...", "amount_cents": 1, "card": "..."}, for the shop only'),
    Route("POST", "/refunds", make_refund, '{"charge": "...", "amount_cents": 1, "reason": "..."}'),
)

if __name__ == "__main__":
    serve(9000, ROUTES, Path(__file__).with_name("payments.json"))
