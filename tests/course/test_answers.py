"""Right and wrong answers, handed to their checks with several seeds; the shares that the course promises."""

from collections import Counter

from corpus import FILES, answers, verdicts

from ddpm_lib.course import checks


def test_the_shares_that_the_course_promises(tried):
    count, trouble = Counter(), []
    for module in map(answers, FILES):
        assert module.RIGHT.keys() == module.WRONG.keys()
        for name in module.RIGHT:
            assert len(module.RIGHT[name]) >= 5, name
            assert len(module.WRONG[name]) >= 10, name
            for i, attempt in enumerate(module.RIGHT[name]):
                got = list(verdicts(name, attempt))
                refused = [verdict for verdict in got if verdict.status != "passed"]
                count.update(right=1, accepted=not refused)
                trouble += [f"{name}, right answer {i}: {refused[0]}"] if refused else []
            for i, (attempt, words) in enumerate(module.WRONG[name]):
                got = list(verdicts(name, attempt))
                is_named = all(words and words in verdict.message for verdict in got)
                other = [v for v in got if v.mistake and not (words and words in v.mistake)]
                count.update(wrong=1, rejected=all(v.status == "wrong" for v in got), named=is_named)
                count.update(other=bool(other), unattempted=any(v.status == "not attempted" for v in got))
                odd = (
                    [verdict for verdict in got if verdict.status != "wrong"]
                    or other
                    or (words and not is_named and got)
                )
                trouble += [f"{name}, wrong answer {i} ({words}): {odd[0]}"] if odd else []
    tried[f"of {count['right']:,} right answers were accepted"] += count["accepted"]
    tried[f"of {count['wrong']:,} wrong answers were rejected with every seed"] += count["rejected"]
    tried[f"of {count['wrong']:,} wrong answers were named"] += count["named"]
    trouble = "\n".join(trouble)
    assert count["accepted"] >= 0.97 * count["right"], trouble
    assert count["rejected"] >= 0.99 * count["wrong"], trouble
    assert count["named"] >= 0.75 * count["wrong"], trouble
    assert count["other"] == count["unattempted"] == 0, trouble


def test_there_are_answers_to_every_exercise():
    assert sorted(name for path in FILES for name in answers(path).RIGHT) == sorted(checks.__all__)
