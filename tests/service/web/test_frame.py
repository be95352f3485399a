"""What all pages share."""


def test_the_first_page_shows_the_jobs(open_page):
    page = open_page()
    page.get_by_role("heading", name="Jobs", level=1).wait_for()
    assert page.title() == "Jobs · PaKA Service"


def test_an_unknown_address_leads_back(open_page):
    page = open_page("#/nothing")
    page.get_by_role("heading", name="No such page").wait_for()


def test_no_page_has_serious_faults(open_page, axe, fits):
    for scheme in ("light", "dark"):
        for width in (1440, 390):
            page = open_page(width=width, scheme=scheme)
            page.get_by_role("heading", name="Jobs", level=1).wait_for()
            assert axe(page) == []
            assert fits(page)
