# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""How people word commands to the robot: the grammar from which the language model is made.

It says less than core/language understands, so that a recogniser has less to confuse; whatever it
says, core/language understands. It was written from the verbs and prepositions there and from
lists of things, never from recordings.
"""

from __future__ import annotations

from collections.abc import Sequence

from roborefer_operator.core.speech.rules import Rules

THINGS = (
    "apple", "ball", "banana", "basket", "block", "book", "bottle", "bowl", "box", "brick", "can",
    "carton", "cereal box", "cracker box", "cube", "cup", "drill", "fork", "glass", "hammer",
    "jar", "keyboard", "knife", "lemon", "marker", "monitor", "mouse", "mug", "mustard bottle",
    "object", "orange", "pear", "pen", "phone", "plate", "remote", "scissors", "screwdriver",
    "soda can", "soup can", "sponge", "spoon", "sugar box", "tape", "thing", "toy", "tray",
)  # fmt: skip
PLURALS = (
    "apples", "balls", "bananas", "blocks", "books", "bottles", "bowls", "boxes", "bricks", "cans",
    "cubes", "cups", "glasses", "jars", "lemons", "mugs", "objects", "oranges", "pears", "pens",
    "plates", "things",
)  # fmt: skip
COLORS = (
    "black", "blue", "brown", "gray", "green", "orange", "pink", "purple", "red", "teal", "white",
    "yellow",
)  # fmt: skip

_TABLE = {
    "sentence": "12* <polite>? <command> <please>? | 3* <command> <join> <command> | 2* <control>"
    " | <correction> | <answer>",
    "polite": "please | can you | could you | now | robot | okay",
    "please": "please | now | for me",
    "join": "and | then | and then",
    "command": "6* <take> | 6* <put> | 2* <hand> | <go> | 3* <find> | <stack>",
    # What is done.
    "take": "3* <taking> <thing> | pick <short> up",
    "taking": "4* pick up | 4* pick | 2* grab | 2* grasp | 3* take | get | fetch | lift | lift up"
    " | collect",
    "put": "3* <putting> it <place> | 8* <putting> <named> <place> | <putting> <named> <beside> it"
    " | <putting> <moved> <side_away> | put <moved> down"
    " | put down <moved>",
    "putting": "5* put | 4* place | 3* move | set | bring | drop | lay | slide | shift",
    "moved": "it | 2* <short>",
    "named": "5* <short> | <thing>",
    "hand": "3* give me <thing> | 2* hand me <thing> | 2* bring me <thing> | pass me <thing>"
    " | hand over <thing> | give <short> to me | bring <short> to me",
    "go": "go to <short> | move to <short> | drive to <short> | walk to <short>",
    "find": "2* find <thing> | 2* point to <thing> | point at <thing> | show me <thing>"
    " | locate <thing> | where is <thing> | look at <thing>"
    " | which <noun> is <extreme> <target> | which <noun> is <beside> <short>",
    "stack": "stack <short> on <short> | stack <short> on top of <short>",
    # What is meant.
    "thing": "4* <short> | 5* <short> <relation> | <det> <superlative> <noun>",
    "short": "6* the <described> | a <described> | the <one>",
    "det": "4* the | a",
    "one": "left one | right one | other one | <color> one | middle one",
    "described": "4* <noun> | 4* <look> <noun> | 2* <rank> <look>? <noun>",
    "look": "4* <color> | <size> | <size> <color>",
    "size": "small | big | large | little | tall | short | empty",
    "superlative": "smallest | biggest | largest | tallest | shortest | nearest | closest"
    " | farthest | highest | lowest",
    "rank": "2* <ordinal> | leftmost | rightmost | <superlative> | left | right | middle | other"
    " | next | last",
    "ordinal": "first | second | third | fourth | fifth",
    "relation": "5* <beside> <short> | 2* <extreme> <target> | <between> | <counted> | <spot>"
    " | that is <beside> <short> | on the <leftright>",
    "target": "3* <short> | the <landmark> | me | you",
    "landmark": "robot | camera | table | shelf | wall | edge | window | door",
    "extreme": "nearest to | closest to | nearest | farthest from | closest from | furthest from",
    "counted": "2* from <the>? <end> | from <end> to <end> | from the <end> to the <end>",
    "the": "the",
    "end": "left | right | front | back | top | bottom",
    "leftright": "left | right",
    "nearfar": "near | far | front | back",
    "spot": "in the <corner> corner | near the <corner> corner | on the <corner> side"
    " | on the table | on the shelf | under the shelf | in the middle | at the edge of the table",
    "corner": "<leftright> | <nearfar> <leftright> | <nearfar> | top <leftright>"
    " | bottom <leftright>",
    "beside": "3* to the left of | 3* to the right of | left of | right of | 3* in front of"
    " | 3* behind | 2* on top of | 2* on | 2* in | 2* inside | under | below | above | 2* near"
    " | 2* next to | beside | close to | by | against | underneath",
    "between": "3* between <short> and <short> | between the two <plural> | between the <plural>",
    # Where it goes.
    "place": "6* <beside> <anchor> | 2* into <short> | onto <short> | 3* <between>"
    " | 2* <free> <between> | <free> <beside> <anchor> | <measure> <beside> <anchor>"
    " | to the <end> edge of <anchor> | on the <part> side of <anchor>"
    " | at the <end> edge of <anchor> | in the middle of <anchor> | in the center of <anchor>"
    " | in the <corner> corner of <anchor> | over there | there | on the <leftright> side"
    " | <free> on <anchor> | in the <corner> corner",
    "anchor": "5* <short> | the <landmark> | 2* the table",
    "free": "in the <empty> <space> | on the <empty> <space> | in a <empty> <space>",
    "empty": "free | empty | vacant | open",
    "space": "space | spot | area | place | gap",
    "part": "<end> | handle | other | far | near",
    "measure": "<number> centimeters | <number> inches | a bit | a little",
    "number": "two | three | four | five | six | seven | eight | nine | ten | twelve | fifteen"
    " | twenty | thirty",
    "side_away": "to the <leftright> | over there | there",
    "choice": "one | two | three | four | five | six | seven | eight | nine",
    # About the task itself, and answers.
    "control": "4* stop | halt | freeze | abort | cancel | stop now | stop moving | cancel that"
    " | wait | undo | undo that | put it back | again | do it again | once more | try again"
    " | continue | go on | stop and <command>",
    "correction": "no <short> | no not that one | not that one | no i meant <short> | actually"
    " <short> | no <beside> <short>",
    "answer": "3* yes | 3* no | yes please | okay | <short> | number <choice> | 2* <choice>"
    " | the <ordinal> one | go ahead | never mind",
}


def commands(
    things: Sequence[str] = THINGS,
    plurals: Sequence[str] = PLURALS,
    colors: Sequence[str] = COLORS,
) -> Rules:
    """Return the grammar for these things.

    Args:
        things: Names, one of a kind; of one or more words.
        plurals: Names for several.
        colors: Their names.
    """
    lists = {"noun": things, "plural": plurals, "color": colors}
    return Rules({**_TABLE, **{name: " | ".join(row) for name, row in lists.items()}}, "sentence")
