"""Matrix products keep to one thread inside, and have all of them again afterwards."""

from __future__ import annotations

import threading

import pytest

from morpho.compiled import blas


class Fake:
    """The two functions of a library, and what it was told."""

    def __init__(self) -> None:
        self.threads, self.told = 8, list[int]()

    def get(self) -> int:
        return self.threads

    def set(self, count: int) -> None:
        self.threads = count
        self.told.append(count)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake()
    monkeypatch.setattr(blas, "_functions", lambda: (fake.get, fake.set))
    return fake


def test_one_thread_inside(library: Fake) -> None:
    with blas.single_threaded():
        assert library.threads == 1
    assert library.threads == 8


def test_several_users_end_in_any_order(library: Fake) -> None:
    first, second = blas.single_threaded(), blas.single_threaded()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert library.threads == 1
    second.__exit__(None, None, None)
    assert library.told == [1, 8]


def test_an_error_inside_restores(library: Fake) -> None:
    with pytest.raises(KeyError), blas.single_threaded():
        raise KeyError
    assert library.threads == 8


def test_many_threads(library: Fake) -> None:
    def work() -> None:
        for _ in range(200):
            with blas.single_threaded():
                assert library.threads == 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert library.threads == 8


def test_numpys_own_library() -> None:
    get, _ = blas._functions()
    before = get()
    with blas.single_threaded():
        assert get() == 1
    assert get() == before
