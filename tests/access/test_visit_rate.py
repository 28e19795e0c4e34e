"""The limit on new visits and passes bounds a flood from the vision process, and does not slow people down."""

from gated.access.visit_rate import PASSES_AT_ONCE, RATE_PART, VISITS_A_SECOND, VISITS_AT_ONCE, VisitRate


class Hours:
    def __init__(self):
        self.now, self.told = 0.0, []
        self.crowd = VisitRate(lambda *told: self.told.append(told), lambda: self.now)

    def admitted(self, asked, within_s):
        count = 0
        for _ in range(asked):
            self.now += within_s / asked
            count += self.crowd.admits()
        return count


def test_new_faces_are_limited_in_every_minute():
    hours = Hours()
    assert hours.admitted(60_000, 60) <= VISITS_AT_ONCE + 60 * VISITS_A_SECOND + 1
    assert hours.admitted(60_000, 60) <= 60 * VISITS_A_SECOND + 1


def test_the_begin_and_end_of_a_flood_are_each_reported_once():
    hours = Hours()
    hours.admitted(60_000, 60)
    hours.now += 30
    hours.admitted(1, 1)
    assert [(part, why is None) for part, why in hours.told] == [(RATE_PART, False)]
    hours.now += 2 * VISITS_AT_ONCE
    assert hours.crowd.admits()
    assert [(part, why is None) for part, why in hours.told] == [(RATE_PART, False), (RATE_PART, True)]


def test_all_visitors_at_the_end_of_a_school_day_are_admitted():
    hours = Hours()
    assert hours.admitted(200, 90) == 200
    assert hours.told == []


def test_a_flood_of_passes_is_limited_and_does_not_affect_faces():
    hours = Hours()
    assert sum(hours.crowd.admits_pass() for _ in range(1000)) == PASSES_AT_ONCE
    assert hours.crowd.admits()
