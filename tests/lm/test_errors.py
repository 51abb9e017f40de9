from lm.base.errors import did_you_mean, one_line


def test_control_characters_are_written_out():
    assert one_line("a\rb\tc\nd\x1b[2J\u202e\u2028\udcff") == (
        r"a\rb\tc\nd\x1b[2J\u202e\u2028\udcff")
    assert one_line(" é – 字\n") == "é – 字"


def test_long_fields_are_cut_in_the_middle():
    cut = one_line(f"x.tsv: {'ab' * 2000!r} is no name; don't")
    assert cut.startswith("x.tsv: 'abab") and cut.endswith("is no name; don't")
    assert "(4,002 characters)" in cut and len(cut) < 300
    # In quotes with spaces, and without any quotes.
    assert len(one_line("no " + repr("two words " * 500))) < 300
    assert len(one_line("path " + "x" * 5000 + " is bad")) < 300
    # Apostrophes are no quotes; several short pieces stay whole.
    text = "the user's file: " + ", ".join(f"'name{i}'" for i in range(60)) + " are the user's"
    assert one_line(text) == text
    assert len(one_line("a b c " * 50_000)) < 1300


def test_the_nearest_name():
    assert did_you_mean("epocs", ["epochs", "seed"]) == " (did you mean 'epochs'?)"
    assert did_you_mean("zzz", ["epochs"]) == did_you_mean(5, []) == ""
