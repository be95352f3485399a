from paka.architectures import architectures


def test_every_architecture_is_listed_with_its_facts(paka):
    lines = paka("encoders").output.splitlines()
    assert len(lines) == 1 + len(architectures())
    row = next(line for line in lines if line.split()[0] == "vit_small_patch14_dinov2.lvd142m")
    assert row.split()[1:] == ["14", "384", "12", "518"]


def test_all_words_of_the_filter_must_be_in_the_name(paka):
    names = [line.split()[0] for line in paka("encoders", "DINOv2", "reg4").output.splitlines()[1:]]
    assert names
    assert all("dinov2" in name and "reg4" in name for name in names)


def test_a_filter_that_matches_nothing_is_an_error(paka):
    result = paka("encoders", "resnet")
    assert result.exit_code == 1
    assert "resnet" in result.output
