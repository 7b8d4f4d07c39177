"""Is every envelope handled, failed or counted exactly once, whatever happens at the same time?"""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.mailbox import Mailbox, MailboxClosed, MailboxFull, MailboxOptions, Overflow
from actors.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator


class Answer:
    """Where an ask's answer goes; remembers every one, as there must be exactly one."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []

    def set_error(self, error: BaseException) -> None:
        self.errors.append(error)


@dataclass(eq=False)
class Letter:
    message: object
    reply: Answer | None = None


def key_of(message: object) -> object:
    """Messages are (key, value); key None never coalesces."""
    assert isinstance(message, tuple)
    return message[0]


def messages_in(mailbox: Mailbox[Letter]) -> list[object]:
    taken = []
    while (letter := mailbox.get_nowait()) is not None:
        taken.append(letter.message)
    return taken


@pytest.fixture
def tiny_switch_interval() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


# --- order -----------------------------------------------------------------------------------


def test_letters_are_taken_in_the_order_in_which_they_were_put() -> None:
    mailbox = Mailbox[Letter]()
    for number in range(5):
        mailbox.put(Letter(number))
    assert messages_in(mailbox) == [0, 1, 2, 3, 4]


def test_a_system_letter_overtakes_all_others() -> None:
    mailbox = Mailbox[Letter]()
    mailbox.put(Letter("first"))
    mailbox.put_system(Letter("stop"))
    mailbox.put_system(Letter("and stop"))
    assert messages_in(mailbox) == ["stop", "and stop", "first"]


def test_system_letters_have_no_bound() -> None:
    mailbox = Mailbox[Letter](MailboxOptions(capacity=1, overflow=Overflow.REJECT))
    mailbox.put(Letter("user"))
    for number in range(10):
        mailbox.put_system(Letter(number))
    assert messages_in(mailbox) == [*range(10), "user"]


def test_get_gives_up_after_its_time() -> None:
    assert Mailbox[Letter]().get(0.01) is None
    assert Mailbox[Letter]().get(0) is None


def test_get_waits_for_a_put() -> None:
    mailbox = Mailbox[Letter]()
    taken: list[Letter | None] = []
    taker = threading.Thread(target=lambda: taken.append(mailbox.get(None)))
    taker.start()
    mailbox.put(letter := Letter("here"))
    taker.join(10)
    assert taken == [letter]


# --- bound and overflow ----------------------------------------------------------------------


def test_a_full_mailbox_refuses_and_says_whose_it_is() -> None:
    mailbox = Mailbox[Letter](MailboxOptions(capacity=2), label="engine.session")
    mailbox.put(Letter(1))
    mailbox.put(Letter(2))
    with pytest.raises(MailboxFull, match=r"engine\.session holds its 2 messages"):
        mailbox.put(Letter(3))
    assert messages_in(mailbox) == [1, 2]
    assert (mailbox.stats.rejected, mailbox.stats.dropped) == (1, 0)


def test_drop_oldest_makes_room_and_fails_an_ask_that_it_drops() -> None:
    mailbox = Mailbox[Letter](MailboxOptions(capacity=2, overflow=Overflow.DROP_OLDEST))
    answer = Answer()
    for letter in (Letter(1, answer), Letter(2), Letter(3), Letter(4)):
        mailbox.put(letter)
    assert [type(error) for error in answer.errors] == [MailboxFull]
    assert messages_in(mailbox) == [3, 4]
    assert mailbox.stats.dropped == 2


def test_drop_newest_counts_what_it_drops_and_refuses_an_ask() -> None:
    mailbox = Mailbox[Letter](MailboxOptions(capacity=1, overflow=Overflow.DROP_NEWEST))
    answer = Answer()
    for letter in (Letter(1), Letter(2), Letter(3, answer)):
        mailbox.put(letter)
    assert [type(error) for error in answer.errors] == [MailboxFull]
    assert messages_in(mailbox) == [1]
    assert mailbox.stats.dropped == 2


def test_a_mailbox_that_could_hold_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        MailboxOptions(capacity=0)


# --- coalescing ------------------------------------------------------------------------------


def test_a_key_keeps_its_first_place_and_shows_its_newest_value() -> None:
    mailbox = Mailbox[Letter](MailboxOptions(key=key_of))
    for message in (("a", 1), ("b", 1), ("a", 2), (None, 1), ("b", 2), ("a", 3), (None, 2)):
        mailbox.put(Letter(message))
    assert messages_in(mailbox) == [("a", 3), ("b", 2), (None, 1), (None, 2)]
    assert mailbox.stats.coalesced == 3


def test_a_key_that_was_taken_queues_again_at_the_end() -> None:
    mailbox = Mailbox[Letter](MailboxOptions(key=key_of))
    mailbox.put(Letter(("a", 1)))
    mailbox.put(Letter(("b", 1)))
    assert mailbox.get_nowait() is not None
    mailbox.put(Letter(("a", 2)))
    assert messages_in(mailbox) == [("b", 1), ("a", 2)]


def test_an_ask_is_never_coalesced_away() -> None:
    mailbox = Mailbox[Letter](MailboxOptions(key=key_of))
    asks = [Letter(("a", number), Answer()) for number in range(3)]
    for ask in asks:
        mailbox.put(ask)
    mailbox.put(Letter(("a", 3)))
    mailbox.put(Letter(("a", 4)))
    assert messages_in(mailbox) == [("a", 0), ("a", 1), ("a", 2), ("a", 4)]
    assert all(ask.reply is not None and not ask.reply.errors for ask in asks)


@pytest.mark.parametrize("overflow", Overflow)
def test_a_known_key_needs_no_room(overflow: Overflow) -> None:
    mailbox = Mailbox[Letter](MailboxOptions(capacity=1, overflow=overflow, key=key_of))
    mailbox.put(Letter(("a", 1)))
    mailbox.put(Letter(("a", 2)))
    assert messages_in(mailbox) == [("a", 2)]
    assert mailbox.stats.dropped == 0


def test_a_dropped_key_is_not_updated_any_more() -> None:
    options = MailboxOptions(capacity=1, overflow=Overflow.DROP_OLDEST, key=key_of)
    mailbox = Mailbox[Letter](options)
    for message in (("a", 1), ("b", 1), ("a", 2)):
        mailbox.put(Letter(message))
    assert messages_in(mailbox) == [("a", 2)]
    assert (mailbox.stats.dropped, mailbox.stats.coalesced) == (2, 0)


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(
    capacity=st.integers(1, 4),
    overflow=st.sampled_from(Overflow),
    actions=st.lists(
        st.one_of(st.just("get"), st.sampled_from(["a", "b", "c", None])), max_size=30
    ),
)
def test_it_behaves_as_a_list_would(
    capacity: int, overflow: Overflow, actions: list[str | None]
) -> None:
    mailbox = Mailbox[Letter](MailboxOptions(capacity=capacity, overflow=overflow, key=key_of))
    model: list[tuple[str | None, int]] = []
    refused = 0
    for number, action in enumerate(actions):
        if action == "get":
            letter = mailbox.get_nowait()
            assert (letter and letter.message) == (model.pop(0) if model else None)
            continue
        message = (action, number)
        queued = [index for index, (key, _) in enumerate(model) if key == action is not None]
        try:
            mailbox.put(Letter(message))
        except MailboxFull:
            refused += 1
            assert overflow is Overflow.REJECT
            assert len(model) == capacity
            assert not queued
            continue
        if queued:
            model[queued[0]] = message
        elif len(model) < capacity:
            model.append(message)
        elif overflow is Overflow.DROP_OLDEST:
            model = [*model[1:], message]
        assert mailbox.stats.depth == len(model)
    assert mailbox.stats.rejected == refused
    assert mailbox.stats.high_water <= capacity
    assert [letter.message for letter in mailbox.close()] == model


# --- closing ---------------------------------------------------------------------------------


def test_close_hands_back_what_was_queued_exactly_once() -> None:
    mailbox = Mailbox[Letter]()
    mailbox.put(Letter(1))
    mailbox.put_system(Letter("stop"))
    assert [letter.message for letter in mailbox.close()] == ["stop", 1]
    assert mailbox.close() == ()
    assert mailbox.closed
    assert mailbox.empty
    assert mailbox.get(None) is None


@pytest.mark.parametrize("lane", ["put", "put_system"])
def test_a_closed_mailbox_takes_nothing(lane: str) -> None:
    mailbox = Mailbox[Letter](label="engine.session")
    mailbox.close()
    with pytest.raises(MailboxClosed, match=r"engine\.session is closed"):
        getattr(mailbox, lane)(Letter(1))


def test_close_ends_a_wait() -> None:
    mailbox = Mailbox[Letter]()
    taker = threading.Thread(target=mailbox.get, args=(None,))
    taker.start()
    mailbox.close()
    taker.join(10)
    assert not taker.is_alive()


# --- waking whoever has no thread --------------------------------------------------------------


def test_every_put_that_leaves_something_wakes_the_owner() -> None:
    woken: list[int] = []
    mailbox: Mailbox[Letter]
    mailbox = Mailbox(
        MailboxOptions(capacity=1, overflow=Overflow.DROP_NEWEST),
        on_ready=lambda: woken.append(mailbox.stats.depth),
    )
    mailbox.put(Letter(1))
    mailbox.put(Letter("dropped"))
    mailbox.put_system(Letter("stop"))
    assert len(woken) == 2


def test_the_owner_may_use_the_mailbox_while_it_is_woken() -> None:
    taken: list[object] = []
    mailbox: Mailbox[Letter]
    mailbox = Mailbox(on_ready=lambda: taken.extend(messages_in(mailbox)))
    mailbox.put(Letter(1))
    assert taken == [1]


# --- all at once -------------------------------------------------------------------------------


@pytest.mark.usefixtures("tiny_switch_interval")
@pytest.mark.parametrize("keyed", [False, True], ids=["plain", "keyed"])
@pytest.mark.parametrize("overflow", Overflow)
def test_with_many_producers_and_a_close_every_letter_ends_exactly_once(
    overflow: Overflow, *, keyed: bool
) -> None:
    for seed in range(6):
        race = Race(overflow, keyed=keyed, close_after=random.Random(seed).randrange(600))
        race.run()
        race.check()


class Race:
    """Producers and takers use one mailbox until, somewhere in the middle, it is closed."""

    PRODUCERS = 4
    TAKERS = 2
    EACH = 150
    CAPACITY = 8

    def __init__(self, overflow: Overflow, *, keyed: bool, close_after: int) -> None:
        key = key_of if keyed else None
        self.mailbox = Mailbox[Letter](
            MailboxOptions(capacity=self.CAPACITY, overflow=overflow, key=key)
        )
        self.close_after = close_after
        self.lock = threading.Lock()
        self.puts = 0
        self.ends: Counter[object] = Counter()
        self.asks: list[Letter] = []
        self.deepest = 0

    def run(self) -> None:
        takers = [threading.Thread(target=self.take) for _ in range(self.TAKERS)]
        producers = [
            threading.Thread(target=self.produce, args=(number,))
            for number in range(self.PRODUCERS)
        ]
        for thread in (*takers, *producers):
            thread.start()
        for thread in producers:
            thread.join(30)
        self.close()
        for thread in takers:
            thread.join(30)
        assert not any(thread.is_alive() for thread in (*takers, *producers))

    def produce(self, producer: int) -> None:
        for number in range(self.EACH):
            # Keys are shared by all producers, so that they coalesce each other's letters.
            answer = Answer() if number % 3 == 0 else None
            letter = Letter((number % 5, producer, number), answer)
            try:
                (self.mailbox.put_system if number % 10 == 9 else self.mailbox.put)(letter)
            except (MailboxFull, MailboxClosed):
                self.ended(letter)
            with self.lock:
                self.puts += 1
                self.deepest = max(self.deepest, self.mailbox.stats.depth)
                closing = self.puts == self.close_after
                if answer is not None:
                    self.asks.append(letter)
            if closing:
                self.close()

    def take(self) -> None:
        while (letter := self.mailbox.get(None)) is not None:
            self.ended(letter)

    def close(self) -> None:
        for letter in self.mailbox.close():
            self.ended(letter)

    def ended(self, letter: Letter) -> None:
        """A letter was handled, refused or handed back."""
        with self.lock:
            self.ends[letter.message] += 1

    def check(self) -> None:
        assert set(self.ends.values()) == {1}, "a letter ended twice"
        stats = self.mailbox.stats
        counted = stats.dropped + stats.coalesced
        assert len(self.ends) + counted == self.PRODUCERS * self.EACH
        assert max(self.deepest, stats.high_water) <= self.CAPACITY
        assert stats.depth == 0
        for ask in self.asks:
            assert ask.reply is not None
            # An ask that neither was taken nor came back is owed its error by the mailbox.
            dropped = ask.message not in self.ends
            assert [type(error) for error in ask.reply.errors] == [MailboxFull] * dropped


@pytest.mark.usefixtures("tiny_switch_interval")
def test_a_coalescing_reader_always_ends_up_with_the_newest_value() -> None:
    mailbox = Mailbox[Letter](MailboxOptions(capacity=4, key=key_of))
    last_seen: dict[object, int] = {}
    writes = 400

    def write(key: str) -> None:
        for number in range(writes):
            mailbox.put(Letter((key, number)))

    def read() -> None:
        while (letter := mailbox.get(None)) is not None:
            assert isinstance(letter.message, tuple)
            key, number = letter.message
            assert number > last_seen.get(key, -1), "an older value came after a newer one"
            last_seen[key] = number

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(key,)) for key in "abcd"]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join(30)
    eventually(lambda: mailbox.empty, what="the reader to catch up")
    mailbox.close()
    reader.join(10)
    assert last_seen == dict.fromkeys("abcd", writes - 1)


@pytest.mark.usefixtures("tiny_switch_interval")
def test_each_sender_s_letters_arrive_in_the_order_it_sent_them() -> None:
    mailbox = Mailbox[Letter](MailboxOptions(capacity=100_000))

    def send(sender: int) -> None:
        for number in range(300):
            mailbox.put(Letter((sender, number)))

    senders = [threading.Thread(target=send, args=(sender,)) for sender in range(4)]
    for thread in senders:
        thread.start()
    for thread in senders:
        thread.join(30)
    arrived = [message for message in messages_in(mailbox) if isinstance(message, tuple)]
    for sender in range(4):
        assert [number for who, number in arrived if who == sender] == list(range(300))


# --- closing only when nothing would be lost --------------------------------------------------


def test_a_mailbox_with_something_in_it_does_not_close_by_itself() -> None:
    mailbox = Mailbox[Letter]()
    mailbox.put(Letter(1))

    assert not mailbox.close_if_empty()
    assert messages_in(mailbox) == [1]
    assert mailbox.close_if_empty()
    with pytest.raises(MailboxClosed):
        mailbox.put(Letter(2))
