"""Who may call now: overload halves, success adds, pauses are kept, and a replica that fails draws no calls."""

from __future__ import annotations

import math
import threading

from hypothesis import given
from hypothesis import strategies as st

from taskcal.agents.chat.limiter import CongestionSignal, Limiter, Load, RealClock, Ticket, choose_replica, update_load
from tests.agents.chat.fake_clock import FakeClock

MOMENTS = st.floats(-1e6, 1e6)
LOADS = st.builds(
    Load,
    st.integers(1, 1000),
    st.floats(1, 1000) | st.just(math.inf),
    MOMENTS,
    MOMENTS,
    st.integers(0, 50),
    MOMENTS | st.just(-math.inf),
)


def busy(limiter: Limiter, calls: int) -> list[Ticket]:
    """That many calls under way."""
    tickets = [limiter.acquire(None, 0.0) for _ in range(calls)]
    assert all(ticket is not None for ticket in tickets)
    return [ticket for ticket in tickets if ticket]


def test_there_is_no_limit_before_the_first_overload() -> None:
    """A server without rate limits is never slowed down."""
    limiter = Limiter(1, FakeClock())
    for ticket in busy(limiter, 500):
        limiter.release(ticket, CongestionSignal.WELL)
    assert limiter.loads == (Load(limit=math.inf),)


def test_overload_halves_once_for_all_calls_under_way() -> None:
    """Forty calls that are refused together are one lesson, not forty."""
    clock = FakeClock()
    limiter = Limiter(1, clock)
    tickets = busy(limiter, 40)
    clock.sleep(1.0)
    for ticket in tickets:
        limiter.release(ticket, CongestionSignal.OVERLOADED, pause=2.0)
        clock.sleep(0.01)
    (load,) = limiter.loads
    assert (load.limit, load.in_flight) == (20.0, 0)


def test_nothing_starts_while_a_replica_asks_to_wait() -> None:
    """Also the calls of other rollouts, and after the pause they do."""
    clock = FakeClock()
    limiter = Limiter(1, clock)
    (ticket,) = busy(limiter, 1)
    limiter.release(ticket, CongestionSignal.OVERLOADED, pause=7.5)
    assert limiter.acquire(None, 5.0) is None
    assert clock.time == 5.0
    assert limiter.acquire(None, 60.0) == Ticket(0, 7.5)


def test_a_limit_grows_back_by_one_a_round() -> None:
    """Additive increase: as many good calls as the limit add about one; a limit that nobody needs stays as it is."""
    load = idle = Load(limit=8.0)
    for _ in range(8):
        load = update_load(Load(8, load.limit), Ticket(0, 0.0), CongestionSignal.WELL, 0.0, 0.0)
        idle = update_load(Load(1, idle.limit), Ticket(0, 0.0), CongestionSignal.WELL, 0.0, 0.0)
    assert 8.9 < load.limit < 9.0
    assert idle.limit == 8.0


def test_the_limit_settles_around_what_a_server_bears() -> None:
    """A server that bears 10 calls at a time, asked by 64: rounds end up between 5 and 11 calls, and stay there."""
    clock = FakeClock()
    limiter = Limiter(1, clock)
    sizes = []
    for _ in range(200):
        wanted = min(64, int(limiter.loads[0].limit)) if limiter.loads[0].limit < math.inf else 64
        tickets = busy(limiter, wanted)
        clock.sleep(1.0)
        for number, ticket in enumerate(tickets):
            limiter.release(ticket, CongestionSignal.WELL if number < 10 else CongestionSignal.OVERLOADED)
        sizes.append(len(tickets))
    assert sizes[0] == 64
    assert set(sizes[10:]) <= set(range(5, 12))
    assert 11 in sizes[100:]


@given(load=LOADS, granted=MOMENTS, signal=st.sampled_from(CongestionSignal), now=MOMENTS, pause=st.floats(0, 1e6))
def test_a_replica_can_always_be_asked_again(
    load: Load, granted: float, signal: CongestionSignal, now: float, pause: float
) -> None:
    """Whatever happens: at least one call at a time once the pause is over, and no call is counted twice."""
    after = update_load(load, Ticket(0, granted), signal, now, pause)
    assert after.in_flight == load.in_flight - 1
    assert after.limit >= 1.0
    assert Load(0, after.limit, after.paused_until).has_room(max(now + pause, load.paused_until), shuns=False)


def test_the_least_loaded_replica_is_taken() -> None:
    """Unless the conversation is known to another one, whose cache makes it cheap."""
    loads = (Load(5), Load(2), Load(3))
    assert choose_replica(loads, None, 0.0) == 1
    assert choose_replica(loads, 2, 0.0) == 2
    assert choose_replica((Load(5), Load(2), Load(3, limit=3.0)), 2, 0.0) == 1
    assert choose_replica((Load(5), Load(2, paused_until=1.0), Load(3)), 1, 0.0) == 2
    assert choose_replica((Load(1, limit=1.0),), None, 0.0) is None


def test_load_is_spread_evenly() -> None:
    """Replicas of the same speed get the same share."""
    limiter = Limiter(3, FakeClock())
    busy(limiter, 30)
    assert [load.in_flight for load in limiter.loads] == [10, 10, 10]


def test_a_replica_that_fails_draws_no_calls() -> None:
    """It fails at once and so looks idle; while others work it gets one call in 2, 4, 8, … seconds."""
    clock = FakeClock()
    limiter = Limiter(2, clock)
    failed = 0
    for _ in range(1000):
        ticket = limiter.acquire(None, 0.0)
        assert ticket is not None
        if ticket.replica == 0:
            limiter.release(ticket, CongestionSignal.BROKEN)
            failed += 1
        clock.sleep(0.1)
    assert failed <= 7
    assert limiter.loads[1].in_flight == 1000 - failed


def test_a_replica_that_works_again_gets_its_share() -> None:
    """One good call is enough."""
    clock = FakeClock()
    limiter = Limiter(2, clock)
    (first,) = busy(limiter, 1)
    limiter.release(first, CongestionSignal.BROKEN)
    held = busy(limiter, 3)
    assert {ticket.replica for ticket in held} == {1}
    clock.sleep(2.5)
    (probe,) = busy(limiter, 1)
    assert probe.replica == 0
    assert busy(limiter, 1)[0].replica == 1
    limiter.release(probe, CongestionSignal.WELL)
    assert [ticket.replica for ticket in busy(limiter, 4)] == [0, 0, 0, 0]


def test_where_all_fail_all_are_tried() -> None:
    """The last one is never shunned: the endpoint is lost by its calls, not by our caution."""
    limiter = Limiter(2, FakeClock())
    replicas = []
    for _ in range(6):
        (ticket,) = busy(limiter, 1)
        replicas.append(ticket.replica)
        limiter.release(ticket, CongestionSignal.BROKEN)
    assert set(replicas) == {0, 1}


def test_threads_share_one_limit() -> None:
    """With a limit of 4, twenty threads are never more than 4 at a time, and each gets its turn."""
    limiter = Limiter(1, RealClock())
    for ticket in busy(limiter, 8):
        limiter.release(ticket, CongestionSignal.OVERLOADED)
    assert limiter.loads[0].limit == 4.0
    seen: list[int] = []

    def call() -> None:
        ticket = limiter.acquire(None, 30.0)
        assert ticket is not None
        seen.append(limiter.loads[0].in_flight)
        limiter.release(ticket, CongestionSignal.NOTHING)

    threads = [threading.Thread(target=call) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 20
    assert max(seen) <= 4
