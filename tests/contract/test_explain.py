"""Why a message is not running: one test for each reason, and for their order."""

from __future__ import annotations

import pytest

from tests.helpers import QUEUE, World, contract
from trioqueue import (
    Explanation,
    LeasePolicy,
    MessageNotFoundError,
    MessageState,
    NewMessage,
    QueueNotFoundError,
    Reason,
    ReasonKind,
    RetentionPolicy,
    RetryPolicy,
    ValidationError,
)
from trioqueue.store.operations.workers import Registration

KEPT = RetentionPolicy.keep_forever()


async def add_worker(
    world: World,
    worker_id: str = "w1",
    *queues: str,
    running: int = 0,
    concurrency: int = 2,
    stopping: bool = False,
) -> int:
    """Let a worker register as if it ran elsewhere."""
    about = Registration(
        worker_id, "box", 7, "1.2", queues or (QUEUE,), concurrency, 10_000_000
    )
    number = await world.store.register_worker(about)
    await world.store.beat_worker(number, running=running, stopping=stopping)
    return number


async def explain(world: World, message_id: str = "m") -> Explanation:
    found = await world.store.explain(QUEUE, message_id)
    assert (found.queue, found.message_id) == (QUEUE, message_id)
    assert found.at <= world.store.now()
    assert found.reasons
    return found


def kinds(found: Explanation) -> list[str]:
    return [reason.kind.name for reason in found.reasons]


def only(found: Explanation, kind: ReasonKind) -> Reason:
    """Return the one reason, which must be of this kind."""
    (reason,) = found.reasons
    assert reason is found.reason
    assert reason.kind is kind
    return reason


@contract
async def test_a_scheduled_message_is_not_due(world: World) -> None:
    await world.make_queue()
    await add_worker(world)
    due = world.store.now().replace(microsecond=0, year=2100)
    await world.store.post(QUEUE, 1, message_id="m", scheduled_time=due)
    found = await explain(world)
    reason = only(found, ReasonKind.NOT_DUE)
    assert found.state is MessageState.INVISIBLE
    assert reason.until == reason.facts["due_at"] == due
    assert f"it is not due until {due:%Y-%m-%dT%H:%M:%S}Z (in " in reason.text
    assert reason.text.endswith("it was posted for then")


@contract
async def test_a_delayed_message_says_so(world: World) -> None:
    await world.make_queue()
    await add_worker(world)
    posted = await world.store.post(QUEUE, 1, message_id="m", delay_seconds=5430)
    reason = only(await explain(world), ReasonKind.NOT_DUE)
    assert reason.until == posted.scheduled_time
    assert reason.facts["delay_seconds"] == 5430
    assert reason.text.endswith("it was posted with a delay of 1h30m")


@contract
async def test_a_snoozed_message_says_so(world: World) -> None:
    await world.make_queue()
    await add_worker(world)
    job = await world.running(message_id="m")
    await world.store.release(job, delay_seconds=100)
    reason = only(await explain(world), ReasonKind.NOT_DUE)
    assert "its handler snoozed" in reason.text
    assert reason.until is not None
    assert 90 < (reason.until - world.store.now()).total_seconds() <= 100


@contract
async def test_a_failed_message_waits_for_its_next_attempt(world: World) -> None:
    await world.make_queue(retry=RetryPolicy.fixed(600))
    await add_worker(world)
    job = await world.running(message_id="m")
    await world.store.fail(job, OSError("no such host\nreally"))
    found = await explain(world)
    reason = only(found, ReasonKind.RETRY)
    assert reason.text.startswith("attempt 2 of 3 waits until ")
    assert reason.text.endswith("; attempt 1 failed: OSError: no such host")
    assert reason.facts["attempt"] == 2
    assert reason.facts["error"] == "OSError: no such host\nreally"
    assert reason.until is not None
    assert [each.error_type for each in found.attempts] == ["OSError"]
    assert (found.attempt, found.max_attempts) == (1, 3)


@contract
async def test_what_is_due_waits_for_the_scheduler(world: World) -> None:
    await world.make_queue()
    await add_worker(world)
    await world.store.post(QUEUE, 1, message_id="m", delay_seconds=10)
    await world.advance(25)
    reason = only(await explain(world), ReasonKind.NOT_PROMOTED)
    assert "(15s ago), and no scheduler service has made it ready" in reason.text
    assert "trioqueue worker" in reason.advice
    await world.store.promote_due_messages()
    only(await explain(world), ReasonKind.ITS_TURN)


@contract
async def test_a_paused_queue_comes_first(world: World) -> None:
    await world.make_queue()
    await add_worker(world)
    await world.store.post(QUEUE, 1, message_id="m")
    await world.store.pause_queue(QUEUE, "deploying", by="ada@box")
    found = await explain(world)
    assert kinds(found) == ["QUEUE_PAUSED", "ITS_TURN"]
    assert "is paused since " in found.reason.text
    assert found.reason.text.endswith(" ago) by ada@box: deploying")
    assert found.reason.advice.endswith(f"trioqueue queue resume {QUEUE}")
    assert found.reason.facts["paused_by"] == "ada@box"
    await world.store.pause_queue(QUEUE)
    assert (await explain(world)).reason.text.endswith(" ago), no reason given")


@contract
async def test_no_worker_was_seen(world: World) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1, message_id="m")
    await add_worker(world, "other", "another-queue")
    found = await explain(world)
    assert kinds(found) == ["NO_WORKER", "ITS_TURN"]
    assert found.reason.text == (
        f"no worker for queue '{QUEUE}' was seen in the last minute"
    )
    assert "trioqueue worker MODULE:APP" in found.reason.advice


@contract
async def test_the_last_worker_has_gone(world: World) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1, message_id="m")
    await add_worker(world, "older")
    await world.advance(10)
    await add_worker(world)
    await world.advance(45)
    found = await explain(world)
    assert kinds(found) == ["NO_WORKER", "ITS_TURN"]
    last = "the last one, worker 'w1' (host box, pid 7), was seen"
    assert f"is alive; {last} 45s ago" in found.reason.text
    await world.advance(45)
    found = await explain(world)
    assert f"was seen in the last minute; {last} 1m30s ago" in found.reason.text


@contract
async def test_all_workers_are_quiet_or_stopping(world: World) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1, message_id="m")
    await add_worker(world, "w1")
    await world.store.quiet_worker("w1")
    await add_worker(world, "w2", stopping=True)
    found = await explain(world)
    assert kinds(found) == ["WORKERS_QUIET", "ITS_TURN"]
    assert "there are 2 workers for" in found.reason.text
    assert found.reason.text.endswith("none claims: 1 quiet, 1 stopping")
    assert "trioqueue worker quiet w1 --resume" in found.reason.advice
    await world.store.quiet_worker("w1", quiet=False)
    only(await explain(world), ReasonKind.ITS_TURN)


@contract
async def test_all_slots_are_busy(world: World) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1, message_id="m")
    await add_worker(world, "w1", running=2)
    number = await add_worker(world, "w2", running=2)
    await add_worker(world, "quiet")
    await world.store.quiet_worker("quiet")
    found = await explain(world)
    assert kinds(found) == ["WORKERS_BUSY", "ITS_TURN"]
    assert "all are busy: 4 running," in found.reason.text
    assert found.reason.facts == {"workers": 2, "running": 4}
    await world.store.beat_worker(number, running=1)
    only(await explain(world), ReasonKind.ITS_TURN)


@contract
async def test_it_is_ready_behind_others(world: World) -> None:
    await world.make_queue()
    await add_worker(world)
    await world.store.post(QUEUE, 1, message_id="first")
    await world.store.post(QUEUE, 1, message_id="m")
    await world.store.post(QUEUE, 1, message_id="after")
    await world.store.post(QUEUE, 1, message_id="urgent", priority=4)
    await world.store.post(QUEUE, 1, message_id="later", priority=0)
    reason = only(await explain(world), ReasonKind.ITS_TURN)
    assert (reason.facts["ahead"], reason.facts["ahead_is_more"]) == (2, False)
    assert "behind 2 others" in reason.text
    assert reason.advice == ""
    assert (await explain(world, "first")).reason.facts["ahead"] == 1
    assert "behind 1 other (" in (await explain(world, "first")).reason.text
    next_one = (await explain(world, "urgent")).reason
    assert "the first in line" in next_one.text
    assert "within moments" in next_one.advice
    assert (await explain(world, "later")).reason.facts["ahead"] == 4


@contract
async def test_the_line_is_counted_up_to_a_bound(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("policies.explaining", "store.operations.explain"):
        monkeypatch.setattr(f"trioqueue.{module}.MOST_AHEAD", 3)
    await world.make_queue()
    await add_worker(world)
    news = [NewMessage(n, message_id=f"m{n}") for n in range(6)]
    await world.store.post_many(QUEUE, news)
    assert "behind 3 others" in (await explain(world, "m3")).reason.text
    for message_id in ("m4", "m5"):
        reason = (await explain(world, message_id)).reason
        assert "behind 3+ others" in reason.text
        assert (reason.facts["ahead"], reason.facts["ahead_is_more"]) == (3, True)


@contract
async def test_it_runs_on_a_worker_that_is_known(world: World) -> None:
    await world.make_queue(lease=LeasePolicy(base_seconds=60, heartbeat_seconds=20))
    await world.store.post(QUEUE, 1, message_id="m")
    await add_worker(world, "w1", running=1)
    job = await world.claim(worker_id="w1")
    found = await explain(world)
    reason = only(found, ReasonKind.RUNNING)
    assert reason.text.startswith("attempt 1 of 3 runs since ")
    assert "on worker 'w1' (host box, pid 7) (last seen " in reason.text
    assert "its next heartbeat is due by " in reason.text
    assert reason.advice.endswith(f"message cancel {QUEUE} m --abort")
    assert reason.until == job.lease.heartbeat_expires_at
    facts = reason.facts
    assert (facts["worker_id"], facts["host"], facts["pid"]) == ("w1", "box", 7)
    assert facts["lease_expires_at"] == job.lease.expires_at
    assert [attempt.ended_at for attempt in found.attempts] == [None]


@contract
async def test_it_runs_somewhere_that_is_not_known(world: World) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1, message_id="m")
    await world.claim(worker_id="me")
    reason = only(await explain(world), ReasonKind.RUNNING)
    assert "on worker 'me' (which has not registered); its lease lasts" in reason.text
    assert "heartbeat" not in reason.text
    assert reason.facts["pid"] is None


@contract
async def test_the_worker_that_holds_it_has_gone(world: World) -> None:
    await world.make_queue(lease=LeasePolicy(base_seconds=300))
    await world.store.post(QUEUE, 1, message_id="m")
    await add_worker(world, "w1", running=1)
    await world.claim(worker_id="w1")
    await world.advance(60)
    found = await explain(world)
    assert kinds(found) == ["WORKER_GONE", "RUNNING"]
    assert "worker 'w1' (host box, pid 7), was last seen at " in found.reason.text
    assert "(1m ago): killed" in found.reason.text
    assert found.reason.until == found.reasons[1].until


@contract
async def test_its_lease_is_over(world: World) -> None:
    await world.make_queue(lease=LeasePolicy(base_seconds=30))
    await world.store.post(QUEUE, 1, message_id="m")
    await world.claim()
    await world.advance(40)
    found = await explain(world)
    assert kinds(found) == ["LEASE_ENDED", "RUNNING"]
    assert found.reason.text.startswith("its lease ended at ")
    assert "no reclaim service has taken it back" in found.reason.text
    await world.reclaim()
    assert (await explain(world)).state is MessageState.PENDING


@contract
async def test_no_heartbeat_came(world: World) -> None:
    await world.make_queue(lease=LeasePolicy(base_seconds=300, heartbeat_seconds=20))
    await world.store.post(QUEUE, 1, message_id="m")
    await world.claim()
    await world.advance(30)
    found = await explain(world)
    assert kinds(found) == ["LEASE_ENDED", "RUNNING"]
    assert found.reason.text.startswith("no heartbeat came before ")


@contract
async def test_somebody_has_canceled_it(world: World) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1, message_id="m")
    await world.claim()
    await world.store.cancel(QUEUE, "m", reason="wrong address", abort=True)
    found = await explain(world)
    assert kinds(found) == ["ABORTING", "RUNNING"]
    assert "canceled it while it runs: wrong address" in found.reason.text
    assert found.reason.until is not None


@contract
async def test_it_has_completed(world: World) -> None:
    await world.make_queue(retention=KEPT)
    await world.store.complete(await world.running(message_id="m"))
    reason = only(await explain(world), ReasonKind.COMPLETED)
    assert reason.text.startswith("it has completed since ")
    assert "post it under another id" in reason.advice


@contract
async def test_it_was_canceled(world: World) -> None:
    await world.make_queue(retention=KEPT)
    await world.store.post(QUEUE, 1, message_id="m")
    await world.store.cancel(QUEUE, "m", reason="not needed")
    reason = only(await explain(world), ReasonKind.CANCELED)
    assert reason.text.endswith(" ago): not needed")
    assert reason.facts["reason"] == "not needed"


@contract
async def test_it_is_dead(world: World) -> None:
    await world.make_queue()
    await world.dead("m")
    found = await explain(world)
    reason = only(found, ReasonKind.DEAD)
    assert "reason discarded; attempt 1 failed: " in reason.text
    assert reason.text.endswith("no good")
    assert reason.advice.endswith(f"trioqueue dlq requeue {QUEUE} m")
    assert len(found.attempts) == 1


@contract
async def test_several_reasons_are_all_told(world: World) -> None:
    await world.make_queue(retry=RetryPolicy.fixed(600))
    await world.store.fail(await world.running(message_id="m"), "no")
    await world.store.pause_queue(QUEUE)
    found = await explain(world)
    assert kinds(found) == ["RETRY", "QUEUE_PAUSED", "NO_WORKER"]
    await add_worker(world)
    await world.store.quiet_worker("w1")
    found = await explain(world)
    assert kinds(found) == ["RETRY", "QUEUE_PAUSED", "WORKERS_QUIET"]


@contract
async def test_a_message_without_a_limit_names_none(world: World) -> None:
    await world.make_queue()
    await world.store.post(QUEUE, 1, message_id="m", max_attempts=-1)
    await world.claim()
    assert (await explain(world)).reason.text.startswith("attempt 1 runs since ")


@contract
async def test_what_is_not_there_is_not_found(world: World) -> None:
    with pytest.raises(QueueNotFoundError):
        await world.store.explain(QUEUE, "m")
    await world.make_queue()
    with pytest.raises(MessageNotFoundError):
        await world.store.explain(QUEUE, "m")
    with pytest.raises(ValidationError):
        await world.store.explain(QUEUE, 5)  # type: ignore[arg-type]  # on purpose
