"""The table of situations: layouts, encodings, attempts, groups, class lists, broken entries."""

from __future__ import annotations

from autograder.submissions.layouts import Layout
from autograder.submissions.wrapping import Reading

from .situations import FRIDAY, SAVED, STARTER, At, B, O, R, Situation, U, W, notebook, packed_members, packed_work

MOODLE = "_assignsubmission_file"
ATTEMPT = "_attempt_2026-03-0"
GRADESCOPE = b"""---
submission_333:
  :submitters:
  - :name: Ann Lee
    :sid: '12345'
    :email: ann@example.org
  :created_at: 2026-03-02 12:05:01.000000000 Z
  :score: 10.0
  :status: processed
submission_334:
  :submitters:
  - :name: Bo Stone
    :sid: '12346'
    :email: bo@example.org
  - :name: Cy Marsh
    :sid: '12347'
    :email: cy@example.org
  :created_at: 2026-03-03 12:05:01.000000000 Z
"""
RECEIPT = b"""Name: Ann Lee (a_lee)
Assignment: Week 1
Date Submitted: Monday, March 2, 2026 12:05:01 PM GMT
Current Grade: Needs Grading

Files:
\tOriginal filename: attention.ipynb
"""
TEAMS = b"id,name,learner,group\n1,Ann Lee,ann,Team A\n2,Bo Stone,bo,Team A\n3,Cy Marsh,cy,Team B\n"
ABC = "name,email,learner\nAnn Lee,ann@example.org,ann\nBo Stone,bo@example.org,bo\n"


def same(*names: str) -> dict[str, None]:
    return dict.fromkeys(names)


def listed(name: str, roster: bytes, person: str = "ann") -> Situation:
    """A class list of two in some form; a file with the address of one of them."""
    return Situation("class list", name, same("ann@example.org.ipynb"), {person: "ann@example.org.ipynb"}, {W: 1},
                     roster=roster, missing=("Bo Stone",) if person != "ann" else ("bo",))  # fmt: skip


def named(name: str, encoding: str, person: str) -> Situation:
    path = f"{person}/attention.ipynb"
    return Situation("zip names", name, same(path, "bo/attention.ipynb"), {person: path, "bo": "bo/attention.ipynb"},
                     {W: 2}, packed="class.zip", encoding=encoding)  # fmt: skip


def alone(name: str, file: str, content: bytes | None, why: str, fate: object = B) -> Situation:
    """Somebody sent one file only, which is not a notebook; somebody else sent work."""
    path = f"ann/{file}"
    return Situation("broken", name, {path: content, "bo/attention.ipynb": None},
                     {"ann": path if fate is W else "", "bo": "bo/attention.ipynb"},
                     {W: 2} if fate is W else {fate: 1, W: 1}, says=(why,))  # type: ignore[dict-item] # fmt: skip


CANVAS = ("leeann_12345_67890_attention.ipynb", "stonebo_LATE_12346_67891_attention-1.ipynb")
LAYOUTS = (
    Situation("layout", "Canvas, one of them late", same(*CANVAS), {"leeann": CANVAS[0], "stonebo": CANVAS[1]},
              {W: 2}, says=("late, says Canvas",), packed="submissions.zip"),
    Situation("layout", "Canvas, a browser's second download", same(*CANVAS),
              {"leeann": CANVAS[0], "stonebo": CANVAS[1]}, {W: 2}, packed="submissions (2).zip"),
    Situation("layout", "Canvas, somebody wrote into the text box",
              {CANVAS[0]: None, "stonebo_12346_text.html": b"<p>"},
              {"leeann": CANVAS[0], "stonebo": ""}, {W: 1, B: 1}, says=("not a notebook: .html",)),
    Situation("layout", "Canvas, a second file of a learner", same(CANVAS[0], "leeann_12345_67999_attention-1.ipynb"),
              {"leeann": "leeann_12345_67999_attention-1.ipynb"}, {W: 1, O: 1}),
    Situation("layout", "Moodle, folders", same(f"Ann Lee_4711{MOODLE}/attention.ipynb", f"Zoë_4712{MOODLE}/x.ipynb"),
              {"Ann Lee": f"Ann Lee_4711{MOODLE}/attention.ipynb", "Zoë": f"Zoë_4712{MOODLE}/x.ipynb"}, {W: 2}),
    Situation("layout", "Moodle, older folders with a _ at the end", same(f"Ann Lee_4711{MOODLE}_/attention.ipynb"),
              {"Ann Lee": f"Ann Lee_4711{MOODLE}_/attention.ipynb"}, {W: 1}),
    Situation("layout", "Moodle, flat", same(f"Ann Lee_4711{MOODLE}_attention.ipynb"),
              {"Ann Lee": f"Ann Lee_4711{MOODLE}_attention.ipynb"}, {W: 1}),
    Situation("layout", "Moodle, blind", same(f"Participant_4711{MOODLE}/a.ipynb", f"Participant_4712{MOODLE}/a.ipynb"),
              {"Participant 4711": f"Participant_4711{MOODLE}/a.ipynb",
               "Participant 4712": f"Participant_4712{MOODLE}/a.ipynb"}, {W: 2}),
    Situation("layout", "Moodle, online text alone", {
        "Ann Lee_4711_assignsubmission_onlinetext/onlinetext.html": b"<p>", f"Bo_4712{MOODLE}/attention.ipynb": None},
              {"Ann Lee": "", "Bo": f"Bo_4712{MOODLE}/attention.ipynb"}, {B: 1, W: 1}),
    Situation("layout", "Moodle, teams, with a class list",
              same(f"Team A-Ann Lee_1{MOODLE}/a.ipynb", f"Team B-Bo Stone_2{MOODLE}/a.ipynb"),
              {"ann": f"Team A-Ann Lee_1{MOODLE}/a.ipynb", "bo": f"Team B-Bo Stone_2{MOODLE}/a.ipynb"}, {W: 2},
              roster=b"name,learner,group\nAnn Lee,ann,Team A\nBo Stone,bo,Team B\n"),
    Situation("layout", "Moodle, a name that ends as somebody's", same(f"Mal-Bo Stone_1{MOODLE}/a.ipynb"),
              {"Mal-Bo Stone": f"Mal-Bo Stone_1{MOODLE}/a.ipynb"}, {W: 1}, roster=ABC.encode(),
              says=("is not on the roster",), missing=("ann", "bo")),
    Situation("layout", "Canvas, two people of one name, one line of the roster",
              same("stonebo_1_10_attention.ipynb", "stonebo_2_11_attention.ipynb"),
              {"stonebo 1": "stonebo_1_10_attention.ipynb", "stonebo 2": "stonebo_2_11_attention.ipynb"}, {W: 2},
              roster=ABC.encode(), missing=("ann", "bo")),
    Situation("layout", "ILIAS, two logins under one name, one line of the roster",
              same("Stone_Bo_bs_7/attention.ipynb", "Stone_Bo_mal_8/attention.ipynb"),
              {"bs": "Stone_Bo_bs_7/attention.ipynb", "mal": "Stone_Bo_mal_8/attention.ipynb"}, {W: 2},
              roster=ABC.encode(), missing=("ann", "bo")),
    Situation("layout", "people's folders in one that is called as GitHub Classroom's",
              same("hw1-submissions/ann/attention.ipynb", "hw1-submissions/bo/attention.ipynb"), {}, {R: 2},
              says=("--inside",)),
    Situation("layout", "sections with a notebook of somebody's beside", same(
        "monday/ann/attention.ipynb", "monday/bo/attention.ipynb", "monday/notes.ipynb", "cy/attention.ipynb"),
              {"cy": "cy/attention.ipynb"}, {R: 3, W: 1}, says=("--inside",)),
    Situation("layout", "somebody has v1 and v2, and others have not", {
        "ann/v1/attention.ipynb": None, "ann/v2/attention.ipynb": At(FRIDAY), "bo/attention.ipynb": None},
              {"ann": "ann/v2/attention.ipynb", "bo": "bo/attention.ipynb"}, {W: 2, O: 1}),
    Situation("layout", "Moodle, a name with a hyphen is not a team",
              same(f"Anne-Marie Lee_1{MOODLE}/a.ipynb", f"Bo Stone_2{MOODLE}/a.ipynb"),
              {"Anne-Marie Lee": f"Anne-Marie Lee_1{MOODLE}/a.ipynb", "Bo Stone": f"Bo Stone_2{MOODLE}/a.ipynb"},
              {W: 2}),
    Situation("layout", "Blackboard", {
        f"Week 1_alee{ATTEMPT}2-12-05-01_attention.ipynb": None, f"Week 1_alee{ATTEMPT}2-12-05-01.txt": RECEIPT,
        f"Week 1_bstone{ATTEMPT}3-12-05-01_attention.ipynb": None},
              {"alee": f"Week 1_alee{ATTEMPT}2-12-05-01_attention.ipynb",
               "bstone": f"Week 1_bstone{ATTEMPT}3-12-05-01_attention.ipynb"}, {W: 2, B: 1}),
    Situation("layout", "Blackboard, two attempts of one time of download",
              same(f"Week 1_alee{ATTEMPT}3-12-05-01_attention.ipynb",
              f"Week 1_alee{ATTEMPT}2-12-05-01_attention.ipynb"),
              {"alee": f"Week 1_alee{ATTEMPT}3-12-05-01_attention.ipynb"}, {W: 1, O: 1}),
    Situation("layout", "Blackboard, a login with an underscore, by the receipt", {
        f"Week_1_a_lee{ATTEMPT}2-12-05-01_attention.ipynb": None, f"Week_1_a_lee{ATTEMPT}2-12-05-01.txt": RECEIPT},
              {"a_lee": f"Week_1_a_lee{ATTEMPT}2-12-05-01_attention.ipynb"}, {W: 1, B: 1}),
    Situation("layout", "Blackboard, a file that is named as another's attempt", {
        f"W_mal{ATTEMPT}2-12-05-01_W_bo{ATTEMPT}4-12-05-01_attention.ipynb": None},
              {"mal": f"W_mal{ATTEMPT}2-12-05-01_W_bo{ATTEMPT}4-12-05-01_attention.ipynb"}, {W: 1}),
    Situation("layout", "Brightspace", {
        "397063-2557369 - Ann Lee - Mar 2, 2026 1205 PM/attention.ipynb": None,
        "397064-2557369 - Bo Stone - Mar 3, 2026 926 AM/attention.ipynb": None, "index.html": b"<html>"},
              {"Ann Lee": "397063-2557369 - Ann Lee - Mar 2, 2026 1205 PM/attention.ipynb",
               "Bo Stone": "397064-2557369 - Bo Stone - Mar 3, 2026 926 AM/attention.ipynb"}, {W: 2, B: 1}),
    Situation("layout", "Brightspace, submitted twice", same(
        "397063-2557369 - Ann Lee - Mar 3, 2026 1205 PM/attention.ipynb",
        "397063-2557369 - Ann Lee - Mar 3, 2026 926 AM/attention.ipynb"),
              {"Ann Lee": "397063-2557369 - Ann Lee - Mar 3, 2026 1205 PM/attention.ipynb"}, {W: 1, O: 1}),
    Situation("layout", "Brightspace, two numbers under one name", same(
        "1-9 - Ann Lee - Mar 3, 2026 1205 PM/attention.ipynb", "2-9 - Ann Lee - Mar 3, 2026 926 AM/attention.ipynb"),
              {}, {R: 2}, says=("as two people would",)),
    Situation("layout", "Gradescope, one alone and a group", {
        "assignment_9100_export/submission_333/attention.ipynb": None,
        "assignment_9100_export/submission_334/attention.ipynb": None,
        "assignment_9100_export/submission_metadata.yml": GRADESCOPE},
              {"Ann Lee": "assignment_9100_export/submission_333/attention.ipynb",
               "Bo Stone": "assignment_9100_export/submission_334/attention.ipynb",
               "Cy Marsh": "assignment_9100_export/submission_334/attention.ipynb"}, {W: 2, B: 1},
              says=("the work of Bo Stone, Cy Marsh",), packed="assignment_9100_export.zip"),
    Situation("layout", "Gradescope, found by number on the class list", {
        "submission_333/attention.ipynb": None, "submission_metadata.yml": GRADESCOPE},
              {"al": "submission_333/attention.ipynb"}, {W: 1, B: 1},
              roster=b"id,name,learner\n12345,Anna Lee,al\n"),
    Situation("layout", "Gradescope, a submission that the metadata does not know", {
        "submission_333/attention.ipynb": None, "submission_9/attention.ipynb": None,
        "submission_metadata.yml": GRADESCOPE},
              {"Ann Lee": "submission_333/attention.ipynb"}, {W: 1, R: 1, B: 1},
              says=("does not say who submitted submission_9",)),
    Situation("layout", "Gradescope, metadata that a learner put into a folder", {
        "submission_333/attention.ipynb": None, "submission_333/submission_metadata.yml": GRADESCOPE,
        "submission_334/attention.ipynb": None}, {}, {R: 2, B: 1}),
    Situation("layout", "ILIAS", same("Week 1/Abgaben/Lee_Ann_alee_6012/attention.ipynb",
                                      "Week 1/Abgaben/Stone_Bo_bstone_6013/attention.ipynb"),
              {"alee": "Week 1/Abgaben/Lee_Ann_alee_6012/attention.ipynb",
               "bstone": "Week 1/Abgaben/Stone_Bo_bstone_6013/attention.ipynb"}, {W: 2}, packed="Week 1.zip"),
    Situation("layout", "ILIAS, teams", same("Team 8/Lee_Ann_alee_6012/attention.ipynb",
                                             "Team 9/Stone_Bo_bstone_6013/attention.ipynb"),
              {"alee": "Team 8/Lee_Ann_alee_6012/attention.ipynb",
               "bstone": "Team 9/Stone_Bo_bstone_6013/attention.ipynb"}, {W: 2}),
    Situation("layout", "GitHub Classroom", same("hw1-submissions/hw1-alee/attention.ipynb",
                                                 "hw1-submissions/hw1-bo-stone/attention.ipynb"),
              {"alee": "hw1-submissions/hw1-alee/attention.ipynb",
               "bo-stone": "hw1-submissions/hw1-bo-stone/attention.ipynb"}, {W: 2}),
    Situation("layout", "GitHub Classroom, by its class list", same("attention-alee/attention.ipynb"),
              {"Ann Lee": "attention-alee/attention.ipynb"}, {W: 1},
              roster=b'"identifier","github_username","github_id","name"\n"Ann Lee","alee","77","Ann Lee"\n'),
    Situation("layout", "nbgrader's inbound folder, two submissions", same(
        "alee+week01_attention+2026-03-02 12:05:01.000000 UTC/attention.ipynb",
        "alee+week01_attention+2026-03-03 12:05:01.000000 UTC+x1/attention.ipynb",
        "bo+week02_vision_transformer+2026-03-03 12:05:01.000000 UTC/vision_transformer.ipynb"),
              {"alee": "alee+week01_attention+2026-03-03 12:05:01.000000 UTC+x1/attention.ipynb"},
              {W: 1, O: 1, B: 1}, says=("of week02_vision_transformer",)),
    Situation("layout", "a course's submitted/", same(
        "submitted/ann/week01_attention/attention.ipynb", "submitted/bo/week01_attention/attention.ipynb"),
              {"ann": "submitted/ann/week01_attention/attention.ipynb",
               "bo": "submitted/bo/week01_attention/attention.ipynb"}, {W: 2}),
    Situation("layout", "plain folders in an archive within a folder of its name",
              same("hw1/ann/attention.ipynb", "hw1/bo/attention.ipynb"),
              {"ann": "hw1/ann/attention.ipynb", "bo": "hw1/bo/attention.ipynb"}, {W: 2}, packed="hw1.zip"),
    Situation("layout", "plain folders in a .tar.gz", same("ann/attention.ipynb", "bo/attention.ipynb"),
              {"ann": "ann/attention.ipynb", "bo": "bo/attention.ipynb"}, {W: 2}, packed="class.tar.gz"),
    Situation("layout", "week1/ and a loose file", same("week1/ann/attention.ipynb", "week1/bo/attention.ipynb",
              "cy.ipynb"),
              {"ann": "week1/ann/attention.ipynb", "bo": "week1/bo/attention.ipynb", "cy": "cy.ipynb"}, {W: 3},
              packed="class.zip"),
    Situation("layout", "an unknown folder around people's, and a loose file",
              same("lab/ann/attention.ipynb", "lab/bo/attention.ipynb", "cy.ipynb"), {"cy": "cy.ipynb"}, {W: 1, R: 2},
              says=("--inside",), packed="class.zip"),
    Situation("layout", "the same, answered: --inside",
              same("lab/ann/attention.ipynb", "lab/bo/attention.ipynb", "cy.ipynb"),
              {"ann": "lab/ann/attention.ipynb", "bo": "lab/bo/attention.ipynb", "cy": "cy.ipynb"}, {W: 3},
              packed="class.zip", reading=Reading(inside=True)),
    Situation("layout", "sections with people's folders", same(
        "monday/ann/attention.ipynb", "monday/bo/attention.ipynb", "friday/cy/attention.ipynb"),
              {}, {R: 3}, says=("--inside",)),
    Situation("layout", "sections, answered: --inside", same(
        "monday/ann/attention.ipynb", "monday/bo/attention.ipynb", "friday/cy/attention.ipynb"),
              {"ann": "monday/ann/attention.ipynb", "bo": "monday/bo/attention.ipynb",
               "cy": "friday/cy/attention.ipynb"}, {W: 3}, reading=Reading(inside=True)),
    Situation("layout", "people who all have v1 and v2", {
        "ann/v1/attention.ipynb": None, "ann/v2/attention.ipynb": At(FRIDAY),
        "bo/v1/attention.ipynb": None, "bo/v2/attention.ipynb": At(FRIDAY)},
              {"ann": "ann/v2/attention.ipynb", "bo": "bo/v2/attention.ipynb"}, {W: 2, O: 2}),
    Situation("layout", "a name that fits Canvas and Blackboard", same(f"Week_1_2{ATTEMPT}2-12-05-01_attention.ipynb"),
              {}, {R: 1}, says=("--layout blackboard", "--layout canvas")),
    Situation("layout", "the same, answered: --layout blackboard", same(
        f"Week_1_2{ATTEMPT}2-12-05-01_attention.ipynb"), {"2": f"Week_1_2{ATTEMPT}2-12-05-01_attention.ipynb"}, {W: 1},
              reading=Reading(Layout.BLACKBOARD)),
    Situation("layout", "a bundle of `workbook submit` for each",
              {"ann/week01_attention.zip": packed_work("a bundle of `workbook submit` for each",
                                                       "ann/week01_attention.zip")},
              {"ann": "ann/week01_attention.zip"}, {W: 1}),
)  # fmt: skip
ENCODINGS = (
    named("UTF-8 that says so", "", "Zoë Müller"),
    named("UTF-8 that does not say so", "utf-8", "Zoë Müller"),
    named("cp437, the United States' DOS", "cp437", "Jörg Müller"),
    named("cp850, Western Europe's DOS", "cp850", "João Søren"),
    named("cp1252, Western Windows", "cp1252", "Renée Dubé"),
    named("Shift-JIS", "cp932", "山田花子"),
    named("GB 2312", "gb2312", "李雷"),
    named("cp866, Russia's DOS", "cp866", "Иван"),
    Situation("zip names", "bytes that several code pages read as words", same("Groß/attention.ipynb"),
              {"Gro_xe1": "Groß/attention.ipynb"}, {W: 1}, says=("garbled", "Groß"), packed="class.zip",
              encoding="cp437"),
    Situation("zip names", "bytes that no code page reads as words", same("Łódź żółć/attention.ipynb"),
              {"_x9d_xa2d_xab _xbe_xa2_x88_x86": "Łódź żółć/attention.ipynb"}, {W: 1}, says=("garbled",),
              packed="class.zip", encoding="cp852"),
)  # fmt: skip
LISTS = (
    listed("commas, UTF-8", ABC.encode()),
    listed("commas, UTF-8 with its mark", ABC.encode("utf-8-sig")),
    listed("semicolons", ABC.replace(",", ";").encode()),
    listed("tabs, UTF-16 as Excel's `Unicode text`", ABC.replace(",", "\t").encode("utf-16")),
    listed("UTF-16 without its mark", ABC.replace(",", "\t").encode("utf-16-le")),
    listed("cp1252", ABC.replace("Stone", "Stöne").encode("cp1252")),
    listed("Excel's sep=; before it", b"sep=;\r\n" + ABC.replace(",", ";").encode()),
    listed("Canvas's gradebook", b"Student,ID,SIS User ID,SIS Login ID,Section\n    Points Possible,,,,\n"
           b'"Lee, Ann",1,s1,ann@example.org,A\n"Bo Stone",2,s2,bo@example.org,A\n"Student, Test",3,,t,A\n',
           "Lee, Ann"),
    listed("Moodle's grading worksheet", b"Identifier,Full name,Email address,Status,Grade\n"
           b"Participant 11,Ann Lee,ann@example.org,x,\nParticipant 12,Bo Stone,bo@example.org,x,\n", "Ann Lee"),
    listed("Moodle's participants", b"First name,Last name,ID number,Email address,Groups\n"
           b"Ann,Lee,1,ann@example.org,\nBo,Stone,2,bo@example.org,\n", "Ann Lee"),
    Situation("class list", "Blackboard's gradebook, tabs in UTF-16",
              same(f"W_alee{ATTEMPT}2-12-05-01_attention.ipynb"),
              {"Ann Lee": f"W_alee{ATTEMPT}2-12-05-01_attention.ipynb"}, {W: 1}, missing=("Bo Stone",),
              roster='"Last Name"\t"First Name"\t"Username"\t"Student ID"\n"Lee"\t"Ann"\t"alee"\t"1"\n'
              '"Stone"\t"Bo"\t"bstone"\t"2"\n'.encode("utf-16")),
    Situation("class list", "Brightspace's grades", same("1-9 - Ann Lee - Mar 2, 2026 1205 PM/attention.ipynb"),
              {"Ann Lee": "1-9 - Ann Lee - Mar 2, 2026 1205 PM/attention.ipynb"}, {W: 1}, missing=("Bo Stone",),
              roster=b"OrgDefinedId,Username,Last Name,First Name,Email,End-of-Line Indicator\n"
              b"#1,#alee,Lee,Ann,ann@example.org,#\n#2,#bstone,Stone,Bo,bo@example.org,#\n"),
    Situation("class list", "ILIAS's members, in German", same("Lee_Ann_alee_6012/attention.ipynb"),
              {"Ann Lee": "Lee_Ann_alee_6012/attention.ipynb"}, {W: 1}, missing=("Bo Stöne",),
              roster="Anmeldename;Vorname;Nachname;E-Mail\nalee;Ann;Lee;a@b.c\nbs;Bo;Stöne;b@b.c\n".encode("cp1252")),
    Situation("class list", "nbgrader's students", same("alee/attention.ipynb"), {"alee": "alee/attention.ipynb"},
              {W: 1}, roster=b"id,first_name,last_name,email\nalee,Ann,Lee,a@b.c\nbs,Bo,Stone,b@b.c\n",
              missing=("bs",)),
)  # fmt: skip
A, COPY, ONE = "ann/attention.ipynb", "ann/Copy of attention.ipynb", "ann/attention (1).ipynb"
ATTEMPTS = (
    Situation("attempts", "Copy of attention.ipynb in a zip, beside the starter", {
        "ann/work.zip": packed_members("Copy of attention.ipynb in a zip, beside the starter", "ann/work.zip",
                                       {"attention.ipynb": STARTER, "Copy of attention.ipynb": None})},
              {"ann": "ann/work.zip"}, {W: 1}, says=("holds 2 notebooks; Copy of attention.ipynb counts",)),
    Situation("attempts", "the newer of two", {A: None, ONE: At(FRIDAY)}, {"ann": ONE}, {W: 1, O: 1}),
    Situation("attempts", "equal times: the copy with the higher number", {A: None, ONE: None}, {"ann": ONE},
              {W: 1, O: 1}, says=("attention (1).ipynb counts",)),
    Situation("attempts", "a worked-on copy of Colab's beside the newer starter", {A: At(FRIDAY, STARTER), COPY: None},
              {"ann": COPY}, {W: 1, B: 1}, says=("as the course gave it",)),
    Situation("attempts", "the starter that was opened and saved is still the starter",
              {A: At(FRIDAY, SAVED), COPY: None},
              {"ann": COPY}, {W: 1, B: 1}),
    Situation("attempts", "the starter in this source, work in an earlier one",
              {"ann/attention.ipynb": At(FRIDAY, SAVED)},
              {"ann": "ann/first.ipynb"}, {O: 1}, says=("what was collected before counts",),
              before={"ann/first.ipynb": None}),
    Situation("attempts", "work under another name beside the starter",
              {A: At(FRIDAY, STARTER), "ann/final.ipynb": None},
              {"ann": "ann/final.ipynb"}, {W: 1, B: 1}),
    Situation("attempts", "a scratch file beside work", {A: None, "ann/scratch.ipynb": At(FRIDAY)}, {"ann": A},
              {W: 1, B: 1}),
    Situation("attempts", "an empty file after work", {A: None, ONE: At(FRIDAY, b"")}, {"ann": A}, {W: 1, U: 1}),
    Situation("attempts", "half a notebook after work", {A: None, ONE: At(FRIDAY, notebook("x")[:90])}, {"ann": A},
              {W: 1, U: 1}),
    Situation("attempts", "a broken zip after work", {A: None, "ann/attention.zip": At(FRIDAY, b"PK")}, {"ann": A},
              {W: 1, U: 1}),
    Situation("attempts", "the starter alone", {A: STARTER}, {"ann": A}, {W: 1}),
    Situation("attempts", "two loose files that guess one name", {"ann.ipynb": None, "attention_ann.ipynb": None},
              {"ann": ""}, {R: 2}, says=("--layout loose",)),
    Situation("attempts", "the same, answered: --layout loose", {"ann.ipynb": None, "attention_ann.ipynb": At(FRIDAY)},
              {"ann": "attention_ann.ipynb"}, {W: 1, O: 1}, reading=Reading(Layout.LOOSE)),
    Situation("attempts", "the same, with a class list", {"ann.ipynb": None, "attention_ann.ipynb": At(FRIDAY)},
              {"ann": "attention_ann.ipynb"}, {W: 1, O: 1}, roster=b"name,learner\nAnn Lee,ann\n"),
    Situation("attempts", "equal works under one guessed name",
              {"ann.ipynb": notebook("x"), "ann (1).ipynb": notebook("x")},
              {"ann": "ann.ipynb"}, {W: 1, O: 1}),
)  # fmt: skip
GROUPS = (
    Situation("groups", "Canvas names the group", same("teama_1_10_attention.ipynb", "teamb_3_11_attention.ipynb"),
              {"ann": "teama_1_10_attention.ipynb", "bo": "teama_1_10_attention.ipynb",
               "cy": "teamb_3_11_attention.ipynb"}, {W: 2}, says=("the work of Team A",), roster=TEAMS),
    Situation("groups", "somebody calls herself as the group is called", same(
        "teama_1_10_attention.ipynb", "teamb_99_11_attention.ipynb"),
              {"ann": "teama_1_10_attention.ipynb", "bo": "teama_1_10_attention.ipynb",
               "teamb": "teamb_99_11_attention.ipynb"}, {W: 2}, roster=TEAMS, says=("is not on the roster",),
              missing=("cy",)),
    Situation("groups", "a folder is called as the group", same("Team A/attention.ipynb", "cy/attention.ipynb"),
              {"ann": "Team A/attention.ipynb", "bo": "Team A/attention.ipynb", "cy": "cy/attention.ipynb"}, {W: 2},
              roster=TEAMS),
    Situation("groups", "Brightspace names the group", same("1-9 - Team A - Mar 2, 2026 1205 PM/attention.ipynb"),
              {"ann": "1-9 - Team A - Mar 2, 2026 1205 PM/attention.ipynb",
               "bo": "1-9 - Team A - Mar 2, 2026 1205 PM/attention.ipynb"}, {W: 1}, roster=TEAMS, missing=("cy",)),
    Situation("groups", "GitHub Classroom names the team", same("hw1-submissions/hw1-team-a/attention.ipynb"),
              {"ann": "hw1-submissions/hw1-team-a/attention.ipynb", "bo": "hw1-submissions/hw1-team-a/attention.ipynb"},
              {W: 1}, roster=TEAMS, missing=("cy",)),
    Situation("groups", "one member submits: hers alone, and it is said", same("ann/attention.ipynb"),
              {"ann": "ann/attention.ipynb"}, {W: 1}, roster=TEAMS, says=("--groups",), missing=("bo", "cy")),
    Situation("groups", "one member submits, --groups", same("ann/attention.ipynb"),
              {"ann": "ann/attention.ipynb", "bo": "ann/attention.ipynb"}, {W: 1}, roster=TEAMS, groups=True,
              missing=("cy",)),
    Situation("groups", "two members submit, --groups: the newest",
              {"ann/attention.ipynb": None, "bo/attention.ipynb": At(FRIDAY)},
              {"ann": "bo/attention.ipynb", "bo": "bo/attention.ipynb"}, {W: 1, O: 1}, roster=TEAMS, groups=True,
              missing=("cy",)),
    Situation("groups", "a receipt names a group: nobody's points", {
        "attention.zip": packed_work("a receipt names a group: nobody's points", "x")}, {}, {R: 1}, roster=TEAMS,
              missing=("ann", "bo", "cy")),
)  # fmt: skip
JSON, TXT = "a notebook that was called attention.ipynb.json", "a notebook that was called attention.ipynb.txt"
BROKEN = (
    Situation("broken", "a loose script of somebody on the class list", {"ann.py": b"x", "README.txt": b"x",
                                                                         "bo.ipynb": None},
              {"ann": "", "bo": "bo.ipynb"}, {B: 2, W: 1}, roster=ABC.encode(), says=("not a notebook: .py",),
              missing=("ann",)),
    Situation("broken", "a platform's download, packed, inside the source", {
        "submissions.zip": packed_members("", "", {CANVAS[0]: None, CANVAS[1]: None}), "bo.ipynb": None},
              {"bo": "bo.ipynb"}, {R: 1, W: 1}),
    Situation("broken", "an archive of people's folders, called as a person", {
        "class.zip": packed_members("", "", {"x/attention.ipynb": None, "y/attention.ipynb": None}), "bo.ipynb": None},
              {"class": "", "bo": "bo.ipynb"}, {U: 1, W: 1}, says=("several people",)),
    alone(".ipynb.json that holds the notebook", "attention.ipynb.json", None, JSON, W),
    alone(".ipynb.txt that holds the notebook", "attention.ipynb.txt", None, TXT, W),
    alone("no ending, but the notebook", "attention", None, "a notebook that was called attention", W),
    alone(".ipynb.txt that holds something else", "attention.ipynb.txt", b"sorry", "not a notebook: .txt"),
    alone("no ending, no notebook", "attention", b"sorry", "not a notebook: no ending"),
    alone("a script", "attention.py", b"print()", "not a notebook: .py"),
    alone("a PDF", "attention.pdf", b"%PDF-1.4", "not a notebook: .pdf"),
    alone("an archive of another kind", "attention.rar", b"Rar!", "not a notebook: .rar"),
    alone("an empty file", "attention.ipynb", b"", "the file is empty", W),
    alone("half a notebook", "attention.ipynb", notebook("x")[:90], "cannot be read as a notebook", W),
    alone("a broken zip", "attention.zip", b"PK\3\4", "is not a zip archive", U),
    alone("a broken .tar.gz", "attention.tar.gz", b"\x1f\x8b\x08", "is not a tar archive", U),
    Situation("broken", "a .tar.gz with the notebook", {
        "ann/attention.tar.gz": packed_work("a .tar.gz with the notebook", "ann/attention.tar.gz", "tar")},
              {"ann": "ann/attention.tar.gz"}, {W: 1}),
    Situation("broken", "nothing but such files in the whole source", {"ann/a.py": b"x", "bo/a.pdf": b"x"},
              {"ann": "", "bo": ""}, {B: 2}, says=("not a notebook: .py",)),
    Situation("broken", "a path that leads out of the archive", same("../../ann/attention.ipynb", "bo/attention.ipynb"),
              {"bo": "bo/attention.ipynb"}, {R: 1, W: 1}, packed="class.zip"),
    Situation("broken", "the same in a .tar.gz", same("../../ann/attention.ipynb", "bo/attention.ipynb"),
              {"bo": "bo/attention.ipynb"}, {R: 1, W: 1}, packed="class.tar.gz"),
    Situation("broken", "what systems leave in archives", {
        "__MACOSX/ann/._attention.ipynb": b"x", "ann/.DS_Store": b"x", "ann/attention.ipynb": None},
              {"ann": "ann/attention.ipynb"}, {W: 1, B: 2}, packed="class.zip"),
)  # fmt: skip
SITUATIONS = (*LAYOUTS, *ENCODINGS, *LISTS, *ATTEMPTS, *GROUPS, *BROKEN)
