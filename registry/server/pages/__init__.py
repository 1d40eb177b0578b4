"""What people look at: pages at the addresses that they know, each of them JSON, too, for whoever asks for it.

Everything in a release is hostile. A page runs no script but the one that checks a release in the reader's browser
(browser/, bundled by `make browser`), loads nothing from elsewhere, and says so in its Content-Security-Policy. A card
is rendered by a process of its own, within bounds of time and memory.

    table.py      which address is answered by which page
    sites.py      what all pages of a server share
    asked.py      what a request asks for: HTML or JSON, of which repository, at which revision
    answered.py   how a page is answered: its templates, its headers
    snapshots.py  what stands at a commit, read once
    shelf.py      a release in this server's store, as registry.catalog reads releases
    expected.py   whose signature is expected: whom the operator named, else whom the release itself shows
    index.py      what the lists need of each repository, kept until its refs change
    card.py       a card as safe HTML
    checking.py   releases that this server verifies, one at a time, and the reports that it keeps
    marks.py      what is said of a release in one word
    listing.py release.py verification.py lineage.py training.py data.py audits.py history.py compare.py
    signer.py badge.py in_browser.py signing_in.py settings.py gate.py
                  the pages
"""
