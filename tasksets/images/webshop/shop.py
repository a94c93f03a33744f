"""The shop of the example: products, carts and orders. An order is paid through the payment service."""
# ruff: noqa: INP001 - three scripts that are copied into one folder of an image

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from api import RefusedError, Request, Route, State, serve

PAYMENTS = "http://payments:9000"


def one(state: State, kind: str, key: str) -> dict[str, Any]:
    """Give the cart, order or product of that name."""
    if key not in state[kind]:
        raise RefusedError(404, f"{key} is not among the {kind}")
    found: dict[str, Any] = state[kind][key]
    return found


def total(state: State, cart: dict[str, Any]) -> int:
    """Price a cart, in cents; a coupon takes its percentage off."""
    full = sum(state["products"][sku]["price_cents"] * quantity for sku, quantity in cart["items"].items())
    return int(full * (100 - state["coupons"].get(cart["coupon"], 0)) // 100)


def open_cart(state: State, key: str) -> dict[str, Any]:
    """Give a cart that has not been ordered yet."""
    cart = one(state, "carts", key)
    if cart["order"]:
        raise RefusedError(409, f"this cart is already order {cart['order']}")
    return cart


def new_cart(state: State, request: Request) -> object:
    """Make an empty cart for a customer."""
    customer = request.text("customer")
    if customer not in state["customers"]:
        raise RefusedError(404, f"{customer} is not among the customers")
    key = f"c{len(state['carts']) + 1}"
    state["carts"][key] = {"id": key, "customer": customer, "items": {}, "coupon": "", "order": ""}
    return state["carts"][key]


def set_item(state: State, request: Request, key: str, sku: str) -> object:
    """Put so many pieces of a product into a cart."""
    one(state, "products", sku)
    cart = open_cart(state, key)
    cart["items"][sku] = request.whole("quantity")
    return {**cart, "total_cents": total(state, cart)}


def set_coupon(state: State, request: Request, key: str) -> object:
    """Take the percentage of a coupon off a cart."""
    code = request.text("code")
    if code not in state["coupons"]:
        raise RefusedError(404, f"there is no coupon {code}")
    cart = open_cart(state, key)
    cart["coupon"] = code
    return {**cart, "total_cents": total(state, cart)}


def place_order(state: State, request: Request, key: str) -> object:
    """Turn a cart into an order: charge the card, take the pieces out of stock."""
    cart, card = open_cart(state, key), request.text("card")
    if not cart["items"]:
        raise RefusedError(409, "the cart is empty")
    for sku, quantity in cart["items"].items():
        if quantity > state["products"][sku]["stock"]:
            raise RefusedError(409, f"not enough in stock: {sku}")
    order = {"id": str(1001 + len(state["orders"])), "customer": cart["customer"], "items": dict(cart["items"])}
    order |= {"total_cents": total(state, cart), "status": "placed"}
    order |= {"address": state["customers"][cart["customer"]], "note": ""}
    order["charge"] = charge({"order": order["id"], "amount_cents": order["total_cents"], "card": card})
    for sku, quantity in cart["items"].items():
        state["products"][sku]["stock"] -= quantity
    state["orders"][order["id"]], cart["order"] = order, order["id"]
    return order


def charge(body: dict[str, Any]) -> str:
    """Have the payment service charge a card; give the charge's id."""
    headers = {"Content-Type": "application/json", "X-Shop-Key": os.environ["SHOP_KEY"]}
    call = urllib.request.Request(f"{PAYMENTS}/charges", json.dumps(body).encode(), headers)  # noqa: S310 - a constant http address
    try:
        with urllib.request.urlopen(call, timeout=10) as response:  # noqa: S310 - a constant http address
            return str(json.load(response)["id"])
    except urllib.error.HTTPError as error:
        raise RefusedError(402, f"the payment was refused: {json.load(error)['error']}") from error


def change_order(state: State, request: Request, key: str) -> object:
    """Give an order another address or another note."""
    order = one(state, "orders", key)
    fields: dict[str, Any] = {name: request.text(name) for name in ("address", "note") if name in request.body}
    if not fields or len(fields) < len(request.body):
        raise RefusedError(400, "only address and note can be changed")
    order.update(fields)
    return order


def cancel_order(state: State, _: Request, key: str) -> object:
    """Cancel an order that is not under way; the money has to be refunded at the payment service."""
    order = one(state, "orders", key)
    if order["status"] != "placed":
        raise RefusedError(409, f"order {key} is {order['status']}")
    order["status"] = "cancelled"
    return order


ROUTES = (
    Route("GET", "/products", lambda state, _: state["products"]),
    Route("GET", "/orders", lambda state, _: list(state["orders"].values())),
    Route("GET", "/orders/{order}", lambda state, _, key: one(state, "orders", key)),
    Route("PATCH", "/orders/{order}", change_order, '{"address": "...", "note": "..."}, either or both'),
    Route("POST", "/orders/{order}/cancel", cancel_order),
    Route("POST", "/carts", new_cart, '{"customer": "..."}'),
    Route("GET", "/carts/{cart}", lambda state, _, key: one(state, "carts", key)),
    Route("PUT", "/carts/{cart}/items/{sku}", set_item, '{"quantity": 1}'),
    Route("PUT", "/carts/{cart}/coupon", set_coupon, '{"code": "..."}'),
    Route("POST", "/carts/{cart}/order", place_order, '{"card": "..."}'),
)

if __name__ == "__main__":
    serve(8000, ROUTES, Path(__file__).with_name("shop.json"))
