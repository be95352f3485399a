from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from service.retention.policy import Item, Policy, choose

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def item(job="a", kind="checkpoint", size=10, days=1.0, user="u", **values):
    ended = None if days is None else NOW - timedelta(days=days)
    return Item(job, user, kind, size, ended, **values)


def chosen(items, **policy):
    return [choice.item for choice in choose(items, Policy(**policy), NOW)]


def test_nothing_goes_without_a_limit():
    assert chosen([item(days=9999)]) == []
    assert not Policy().is_set
    assert Policy(quota_bytes=0).is_set


def test_what_is_too_old_goes():
    old, new = item(days=31), item("b", days=29)
    assert chosen([old, new], checkpoints_days=30) == [old]
    artifacts = item("c", "artifacts", days=31)
    assert chosen([artifacts, new], checkpoints_days=30) == []
    assert chosen([artifacts, new], artifacts_days=30) == [artifacts]


def test_the_newest_jobs_of_each_user_keep_their_checkpoints():
    items = [
        item(f"{user}{n}", days=n, user=user, step=s)
        for user in "uv"
        for n in (1, 2, 3)
        for s in (1, 2)
    ]
    assert {i.job_id for i in chosen(items, checkpoint_jobs=2)} == {"u3", "v3"}
    assert {i.job_id for i in chosen(items, checkpoint_jobs=0)} == {i.job_id for i in items}


def test_a_quota_takes_the_cheapest_first_and_of_these_the_oldest():
    new, old = item("new", days=1), item("old", days=5)
    artifacts, encoder = item("old", "artifacts", days=9), item("old", "encoder", days=9)
    everything = [encoder, artifacts, new, old]
    assert chosen(everything, quota_bytes=35) == [old]
    assert chosen(everything, quota_bytes=15) == [old, new, artifacts]
    assert chosen(everything, quota_bytes=0) == [old, new, artifacts]
    assert chosen(everything, quota_bytes=0, encoders=True) == [old, new, artifacts, encoder]


def test_one_users_quota_is_nobody_elses_loss():
    mine, theirs = item("m", user="me", size=100), item("t", user="they", size=5, days=9)
    assert chosen([mine, theirs], user_quota_bytes=50) == [mine]


def test_what_a_failed_job_needs_goes_by_age_only():
    last = item(days=10, needed=True)
    assert chosen([last], quota_bytes=0, user_quota_bytes=0, checkpoint_jobs=0) == []
    assert chosen([last], checkpoints_days=9) == [last]


def test_the_reason_is_the_first_that_holds():
    (choice,) = choose([item(days=31)], Policy(checkpoints_days=30, quota_bytes=0), NOW)
    assert choice.reason == "its job ended more than 30 days ago"


limits = st.none() | st.integers(0, 400)
policies = st.builds(
    Policy,
    checkpoints_days=limits,
    artifacts_days=limits,
    checkpoint_jobs=st.none() | st.integers(0, 5),
    quota_bytes=limits,
    user_quota_bytes=limits,
    encoders=st.booleans(),
)


@st.composite
def inventories(draw):
    items = []
    for number in range(draw(st.integers(0, 8))):
        running = draw(st.booleans())
        protected = "it is pinned" if running or draw(st.booleans()) else None
        days = None if running else draw(st.floats(0, 400))
        user = draw(st.sampled_from("uvw"))
        for step in range(draw(st.integers(0, 3))):
            needed = draw(st.booleans())
            size = draw(st.integers(0, 100))
            items.append(
                item(
                    f"job_{number}",
                    size=size,
                    days=days,
                    user=user,
                    step=step,
                    protected=protected,
                    needed=needed,
                )
            )
        for kind in draw(st.sets(st.sampled_from(["artifacts", "encoder"]))):
            size = draw(st.integers(0, 100))
            items.append(item(f"job_{number}", kind, size, days, user, protected=protected))
    return draw(st.permutations(items))


@settings(max_examples=300)
@given(inventories(), policies)
def test_the_protected_stays_and_quotas_hold_as_far_as_they_can(items, policy):
    choices = choose(items, policy, NOW)
    gone = {choice.item for choice in choices}
    assert len(gone) == len(choices)
    assert not [i for i in gone if i.protected or (i.kind == "encoder" and not policy.encoders)]
    assert policy.is_set or not gone
    left = [i for i in items if i not in gone]

    def kept_within(group, quota):
        spare = [i for i in group if not (policy.spares(i) or i.needed or i.bytes == 0)]
        return quota is None or sum(i.bytes for i in group) <= quota or not spare

    assert kept_within(left, policy.quota_bytes)
    for user in "uvw":
        assert kept_within([i for i in left if i.user_id == user], policy.user_quota_bytes)
    limit = policy.checkpoint_jobs
    if limit is not None:
        open_ = [i for i in left if i.kind == "checkpoint" and not (policy.spares(i) or i.needed)]
        for user in "uvw":
            assert len({i.job_id for i in open_ if i.user_id == user}) <= limit
    for days, kinds in ((policy.checkpoints_days, {"checkpoint"}), (policy.artifacts_days, None)):
        if days is not None:
            kinds = kinds or {"artifacts", *({"encoder"} if policy.encoders else ())}
            old = NOW - timedelta(days=days)
            assert not [i for i in left if i.kind in kinds and not i.protected and i.ended_at < old]


@settings(max_examples=100)
@given(inventories(), policies)
def test_no_order_of_the_rows_changes_what_goes(items, policy):
    assert choose(items, policy, NOW) == choose(items[::-1], policy, NOW)
