# %% test="crops" points=5
def cropped(fn: Callable, images: torch.Tensor, *rest: object, seed: int = 0, elsewhere: int = 0) -> tuple:
    """Global crops and local crops of one call, and the images after it; `elsewhere` seeds the global state."""
    torch.manual_seed(elsewhere)
    images = images.clone()
    large, small = fn(images, *rest, torch.Generator().manual_seed(seed))
    return list(large), list(small), images


with checks.step("4 images of 2 x 32 x 32, 3 local crops"):
    images = checks.normal(seed=0)(4, 2, 32, 32)
    large, small, after = checks.beside(cropped, multi_crop, images, 3, 16, 8, (0.5, 1.0), (0.1, 0.3))
    checks.equal(len(large), 2, "the number of global crops")
    checks.equal(len(small), 3, "the number of local crops")
    for crop in large:
        checks.shape(crop, (4, 2, 16, 16), "a global crop")
    for crop in small:
        checks.shape(crop, (4, 2, 8, 8), "a local crop")
    checks.dtype(small[0], torch.float32, "a local crop")
    checks.equal(after, images, "the images after the call (an argument must not be changed in place)")
    checks.that(not torch.equal(large[0], large[1]), "the two global crops differ", came="the same window twice")
    checks.that(
        not any(torch.equal(one, other) for k, one in enumerate(small) for other in small[:k]),
        "the local crops differ from each other",
        came="one window, given several times",
    )

with checks.step("no local crops"):
    _, small, _ = checks.beside(cropped, multi_crop, images, 0, 16, 8, (0.5, 1.0), (0.1, 0.3))
    checks.equal(len(small), 0, "the number of local crops")

with checks.step("a white image has only white crops"):
    large, small, _ = checks.beside(cropped, multi_crop, torch.ones(8, 1, 16, 16), 2, 16, 16, (0.3, 1.0), (0.05, 0.2))
    for crop in (*large, *small):
        checks.close(crop, torch.ones(8, 1, 16, 16), "a crop", causes={
            "zeros from outside the image darken the border; grid_sample pads with zeros unless told otherwise": lambda: (
                crop.min().item() < 0.99 and crop[..., 4:12, 4:12].min().item() > 0.99
            ),
        })  # fmt: skip

with checks.step("eight times the same image, crops of a quarter of its area"):
    # each pixel holds its own column and row, so a crop says where it came from
    row, column = torch.meshgrid(torch.arange(64.0) + 0.5, torch.arange(64.0) + 0.5, indexing="ij")
    ramp = torch.stack([column, row]).expand(8, 2, 64, 64)
    large, _, _ = checks.beside(cropped, multi_crop, ramp, 0, 8, 8, (0.25, 0.25), (0.1, 0.1))
    sides = (large[0][:, 0, 4, 5] - large[0][:, 0, 4, 2]) / 3 * 8  # in pixels of the image, from the slope
    checks.close(sides, torch.full((8,), 32.0), "the side of the window in pixels", rtol=0.0, atol=1.01, causes={
        "the side is the share itself; the area is then its square": torch.full((8,), 16.0),
        "scale_global and scale_local changed places": torch.full((8,), 64 * math.sqrt(0.1)),
        "align_corners=True: the outermost pixels of a window became those of the crop": lambda: (
            checks.near(sides, torch.full((8,), 8 / 7 * 31.5), atol=0.3) and sides.std().item() < 0.01
        ),
        "windows stick out of the image: the room for a center is 1 - side": lambda: (  # outside, a border repeats
            (large[0].diff(dim=-1)[:, 0].abs() < 0.01).any().item() and sides.max().item() > 31
        ),
    })  # fmt: skip
    middles = large[0][:, :, 3:5, 3:5].mean((2, 3))
    checks.that(
        middles.std(0).min().item() > 2,
        "each image of the batch has a window of its own",
        came=f"centers {middles.round().tolist()}",
        causes={
            "one window was drawn for the whole batch": lambda: middles.std(0).max().item() < 0.01 and not any(
                checks.near(middles[0], torch.full((2,), place), atol=0.6) for place in (16.0, 32.0, 48.0)  # no draw
            ),
            "every window is in the middle of the image": lambda: checks.near(
                middles, torch.full((8, 2), 32.0), atol=0.6
            ),
        },
    )  # fmt: skip

with checks.step("windows that are the whole image, enlarged: images that nobody has seen, against F.interpolate"):
    images = checks.normal(checks.fresh_seed())(3, 2, 12, 12)
    large, small, _ = checks.beside(cropped, multi_crop, images, 1, 24, 18, (1.0, 1.0), (1.0, 1.0))
    checks.equal(len(small), 1, "the number of local crops")
    for crop, out in ((large[0], 24), (large[1], 24), (small[0], 18)):
        wanted = F.interpolate(images, size=(out, out), mode="bilinear", align_corners=False)
        checks.close(crop, wanted, "a crop", atol=1e-4, causes={
            "pixels were copied, not interpolated": F.interpolate(images, size=(out, out)),
            "resized bicubic, not bilinear": F.interpolate(images, size=(out, out), mode="bicubic"),
        "align_corners differs between affine_grid and grid_sample": lambda: checks.near(
            crop, F.grid_sample(images, F.affine_grid(torch.eye(2, 3)[None].expand(3, 2, 3), [3, 2, out, out], align_corners=False), padding_mode="border", align_corners=True), atol=1e-3
        ),
        })  # fmt: skip

with checks.step("ranges that are none"):
    for bad in ((0.5, 0.4), (0.0, 0.5), (0.5, 1.2), (-0.2, 0.5)):
        checks.raises(ValueError, checks.beside, cropped, multi_crop, images, 1, 16, 8, bad, (0.1, 0.3), name=f"the global range {bad}")  # fmt: skip
        checks.raises(ValueError, checks.beside, cropped, multi_crop, images, 1, 16, 8, (0.5, 1.0), bad, name=f"the local range {bad}")  # fmt: skip


# %% test="crops" points=5
def cropped(fn: Callable, images: torch.Tensor, *rest: object, seed: int = 0, elsewhere: int = 0) -> tuple:
    """Global crops and local crops of one call, and whether the global state is as it was; `elsewhere` seeds it."""
    torch.manual_seed(elsewhere)
    before = torch.get_rng_state()
    large, small = fn(images, *rest, torch.Generator().manual_seed(seed))
    return list(large), list(small), torch.equal(torch.get_rng_state(), before)


with checks.step("the same seed, and another"):
    images = checks.normal(seed=0)(3, 1, 16, 16)
    settings = (2, 8, 6, (0.5, 1.0), (0.1, 0.3))
    first, same, again, other = (
        checks.beside(cropped, multi_crop, images, *settings, seed=seed, elsewhere=elsewhere)
        for seed, elsewhere in ((0, 1), (0, 1), (0, 2), (1, 1))
    )
    for part in (0, 1):
        checks.equal(torch.stack(again[part]), torch.stack(first[part]), "the crops of seed 0, a second time", causes={
            "a random number came from the global state, not from the generator": lambda: torch.equal(
                same[part][0], first[part][0]
            ),
        })  # fmt: skip
    checks.that(not torch.equal(other[0][0], first[0][0]), "another seed gives other crops", came="the same crops")
    checks.equal(first[2], True, "whether torch's own random state is as it was before the call")

### BEGIN HIDDEN TESTS
with checks.step("the same seed, twice: the generator alone decides"):
    images = checks.normal(seed=3)(2, 3, 16, 16)
    one, two = (checks.beside(cropped, multi_crop, images, *settings, seed=5, elsewhere=e) for e in (3, 4))
    checks.equal(torch.stack(one[1]), torch.stack(two[1]), "the local crops")


def windows(fn: Callable, draws: int, wide: tuple, narrow: tuple, seed: int) -> torch.Tensor:
    """(draws, 4, 16, 4): left, top, width, height in pixels, of 2 global and 2 local windows in 16 images of 64 x 64."""
    generator = torch.Generator().manual_seed(seed)
    across = torch.linspace(0.5, 63.5, 64).expand(64, 64)
    ramp = torch.stack([across, across.T]).expand(16, 2, 64, 64)  # each pixel holds its own column and row
    found = []
    for _ in range(draws):
        large, small = fn(ramp, 2, 8, 9, wide, narrow, generator)
        for crop in (*large, *small):
            middle = crop[:, :, 2:-2, 2:-2].mean((2, 3))
            slopes = crop[:, 0, 4, -3] - crop[:, 0, 4, 2], crop[:, 1, -3, 4] - crop[:, 1, 2, 4]
            size = torch.stack(slopes, 1) / (crop.shape[-1] - 5) * crop.shape[-1]
            found.append(torch.cat([middle - size / 2, size], 1))
    return torch.stack(found).unflatten(0, (draws, 4))


def correlation(one: torch.Tensor, other: torch.Tensor) -> float:
    return torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1].item()


def unevenness(numbers: torch.Tensor, low: float, high: float) -> float:
    """The largest gap between the distribution of the numbers and the uniform one from low to high (Kolmogorov)."""
    ranked = ((numbers.flatten() - low) / (high - low)).sort().values
    return (ranked - (torch.arange(len(ranked)) + 0.5) / len(ranked)).abs().max().item()


ranges = {"global": (0.04, 1.0), "local": (0.1, 0.9)}
with checks.step("100 draws of 2 global and 2 local windows in 16 images, shares from 0.04 to 1 and from 0.1 to 0.9"):
    found = checks.beside(windows, multi_crop, 100, *ranges.values(), 7)
    checks.shape(found, (100, 4, 16, 4), "the windows")
    checks.that(
        not torch.equal(found[0], found[1]), "the second call with a generator draws anew", came="the same windows"
    )
    for (kind, (low, high)), part in zip(ranges.items(), found.split(2, dim=1), strict=True):
        left, top, width, height = part.unbind(-1)
        checks.that(
            (width - height).abs().max().item() < 1.01,
            f"every {kind} window is square",
            came=f"sides that differ by up to {(width - height).abs().max():.1f} pixels",
        )
        inside = min(
            left.min().item(), top.min().item(), 64 - (left + width).max().item(), 64 - (top + height).max().item()
        )
        checks.that(
            inside > -0.6,
            f"every {kind} window lies inside the image",
            came=f"one sticks out by {-inside:.1f} pixels",
        )
        area = width * height / 64**2
        checks.that(  # whole pixels make steps of up to 0.02, and 3,200 numbers vary by 0.03
            unevenness(area, low, high) < 0.07,
            f"the area of {kind} windows is uniform from {low} to {high}",
            came=f"from {area.min():.2f} to {area.max():.2f} with the mean {area.mean():.3f}",
            causes={
                "the side is uniform, not the area: draw the area and take its root": lambda: (
                    unevenness(area.sqrt(), low**0.5, high**0.5) < 0.05
                ),
            },
        )
        alike = correlation(area[..., ::2], area[..., 1::2])
        checks.that(
            abs(alike) < 0.15,
            f"each image has a {kind} area of its own",
            came=f"a correlation of {alike:.2f} between images of one batch",
            causes={"one area was drawn for the whole batch": lambda: alike > 0.9},
        )
        alike = correlation(area[:, 0], area[:, 1])
        checks.that(abs(alike) < 0.15, f"the areas of the two {kind} windows are independent", came=f"a correlation of {alike:.2f}")  # fmt: skip
        free = 64 - width
        alike = correlation(area[free > 8], (left / free)[free > 8])
        checks.that(
            abs(alike) < 0.15,
            f"area and place of {kind} windows are independent",
            came=f"a correlation of {alike:.2f}",
            causes={"one random number serves area and place": lambda: abs(alike) > 0.9},
        )

with checks.step("where windows of a quarter of the area lie"):
    found = checks.beside(windows, multi_crop, 60, (0.25, 0.25), (0.25, 0.25), 11)
    checks.shape(found, (60, 4, 16, 4), "the windows")
    left, top = found[..., 0], found[..., 1]
    for name, edge in (("left", left), ("top", top)):
        checks.that(
            edge.min().item() < 1.5 and edge.max().item() > 30.5,
            f"the {name} edge is anywhere from 0 to 32 pixels",
            came=f"from {edge.min():.1f} to {edge.max():.1f}",
        )
        stuck = ((edge < 0.5) | (edge > 31.5)).float().mean().item()
        checks.that(
            stuck < 0.12,
            f"the {name} edge is uniform",
            came=f"{stuck:.0%} of the windows touch the border of the image",
            causes={"the windows were drawn too far out and pushed back inside": lambda: 0.2 < stuck < 0.9},
        )
        checks.that(
            unevenness(edge, 0, 32) < 0.07,
            f"the {name} edge is uniform from 0 to 32 pixels",
            came=f"{((edge > 8) & (edge < 24)).float().mean():.0%} in the middle half",
        )
        alike = correlation(edge[..., ::2], edge[..., 1::2])
        checks.that(abs(alike) < 0.15, f"each image has a {name} edge of its own", came=f"a correlation of {alike:.2f}")
        for one, other in ((0, 1), (0, 2), (1, 2), (2, 3)):
            alike = correlation(edge[:, one], edge[:, other])
            checks.that(abs(alike) < 0.15, f"windows {one} and {other} of an image are independent", came=f"a correlation of {alike:.2f}")  # fmt: skip
    together = correlation(left, top)
    checks.that(
        abs(together) < 0.15,
        "row and column are drawn independently",
        came=f"a correlation of {together:.2f}",
        causes={"one random number serves row and column: all windows lie on the diagonal": lambda: together > 0.9},
    )


def small_windows(fn: Callable, size: int, share: float, draws: int) -> torch.Tensor:
    """(draws, 3, 8, 4): left, top, width, height in pixels, of the windows of 8 images of size x size pixels."""
    axis = torch.arange(float(size)) + 0.5
    ramp = torch.stack([axis.expand(size, size), axis.expand(size, size).T]).expand(8, 2, size, size)
    generator, found = torch.Generator().manual_seed(2), []
    for _ in range(draws):
        large, small = fn(ramp, 1, 40, 40, (share, share), (share, share), generator)
        for crop in (*large, *small):
            middle, wide, high = (
                crop[:, :, 19:21, 19:21].mean((2, 3)),
                crop[:, 0, 20].diff(dim=1),
                crop[:, 1, :, 20].diff(dim=1),
            )
            sides = torch.stack([wide[:, 15:24].mean(1), high[:, 15:24].mean(1)], 1) * 40
            found.append(torch.cat([middle - sides / 2, sides], 1))
    return torch.stack(found).unflatten(0, (draws, 3))


for size, side in ((4, 2), (10, 5), (10, 7)):
    with checks.step(f"windows of {side} x {side} in images of {size} x {size} pixels"):
        found = checks.beside(small_windows, multi_crop, size, (side / size) ** 2, 20)
        checks.shape(found, (20, 3, 8, 4), "the windows")
        checks.close(
            found[..., 2:],
            torch.full((20, 3, 8, 2), float(side)),
            "the sides of the windows in pixels",
            rtol=0.0,
            atol=0.05,
        )
        for name, edge in (("left", found[..., 0]), ("top", found[..., 1])):
            checks.that(
                edge.min().item() < 0.4 and edge.max().item() > size - side - 0.4,
                f"the {name} edge reaches both ends, 0 and {size - side}",
                came=f"from {edge.min():.1f} to {edge.max():.1f}",
            )

with checks.step("a local range that is none, where no local crop is asked for"):
    checks.raises(
        ValueError,
        multi_crop,
        images,
        0,
        16,
        8,
        (0.5, 1.0),
        (0.5, 0.4),
        torch.Generator(),
        name="the local range (0.5, 0.4)",
    )

with checks.step("float64 images"):
    large, small, _ = checks.beside(cropped, multi_crop, torch.ones(2, 1, 16, 16, dtype=torch.float64), *settings)
    for crop, out in zip((*large, *small), (8, 8, 6, 6), strict=True):
        checks.close(crop, torch.ones(2, 1, out, out, dtype=torch.float64), "a crop of a white image")
### END HIDDEN TESTS

# %% test="loss" points=6
# two outputs, two global views. With the center (1, 0) and t_teacher = 0.5 the teacher says (3/4, 1/4) and (1/2, 1/2);
# with t_student = 1 the student says (1/2, 1/2) and (4/5, 1/5)
teacher = [torch.tensor([[1 + 0.5 * math.log(3), 0.0]]), torch.tensor([[1.0, 0.0]])]
student = [torch.tensor([[0.0, 0.0]]), torch.tensor([[math.log(4), 0.0]])]
center = torch.tensor([1.0, 0.0])


def nats(*pairs: tuple) -> torch.Tensor:
    """Mean over pairs of the cross-entropy, for two outputs: each pair is the first probability of target and answer."""
    each = [-(q * math.log(p) + (1 - q) * math.log(1 - p)) for q, p in pairs]
    return torch.tensor(sum(each) / len(each), dtype=torch.float32)


def first_of(margin: float) -> float:
    """The first of two probabilities whose logits differ by this much."""
    return 1 / (1 + math.exp(-margin))


half_log3, log4 = 0.5 * math.log(3), math.log(4)
with checks.step("two views, two outputs, by hand: teacher 1 with student 2, teacher 2 with student 1"):
    loss = dino_loss(student, teacher, center, 1.0, 0.5)
    checks.shape(loss, (), "the loss")
    checks.close(loss, nats((3 / 4, 4 / 5), (1 / 2, 1 / 2)), "the loss", causes={
        "pairs of a view with itself were counted as well": nats((3 / 4, 1 / 2), (3 / 4, 4 / 5), (1 / 2, 1 / 2), (1 / 2, 4 / 5)),
        "only pairs of a view with itself were counted": nats((3 / 4, 1 / 2), (1 / 2, 4 / 5)),
        "the sum over the pairs was not divided by their number": 2 * nats((3 / 4, 4 / 5), (1 / 2, 1 / 2)),
        "the center was added; subtract it": nats((first_of(2 * (2 + half_log3)), 4 / 5), (first_of(4), 1 / 2)),
        "the center was not used": nats((first_of(2 * (1 + half_log3)), 4 / 5), (first_of(2), 1 / 2)),
        "the center was subtracted from the student as well": nats((3 / 4, first_of(log4 - 1)), (1 / 2, first_of(-1))),
        "the center was subtracted from the student, not from the teacher": nats(
            (first_of(2 * (1 + half_log3)), first_of(log4 - 1)), (first_of(2), first_of(-1))
        ),
        "the temperatures changed places: the teacher must be the sharper one": nats(
            (first_of(half_log3), first_of(2 * log4)), (1 / 2, 1 / 2)
        ),
        "the center was subtracted after the division by the temperature": nats(
            (first_of(2 * (1 + half_log3) - 1), 4 / 5), (first_of(1), 1 / 2)
        ),
        "student and teacher changed places in the cross-entropy": nats((4 / 5, 3 / 4), (1 / 2, 1 / 2)),
        "the softmax ran over the batch": lambda: checks.near(float(loss), 0.0) and checks.near(
            float(dino_loss([torch.ones(3, 2)] * 2, [torch.ones(3, 2)] * 2, torch.zeros(2), 1.0, 0.5)), math.log(3)
        ),
    })  # fmt: skip


def handed(fn: Callable, student: list, teacher: list, center: torch.Tensor) -> list:
    """All arguments as they are after a call."""
    student, teacher, center = [s.clone() for s in student], [t.clone() for t in teacher], center.clone()
    fn(student, teacher, center, 0.7, 0.4)
    return [*student, *teacher, center]


with checks.step("student, teacher and center after the call"):
    randn = checks.normal(seed=3)
    given = [randn(3, 4) for _ in range(5)], [randn(3, 4) for _ in range(2)], randn(4)
    after = checks.beside(handed, dino_loss, *given)
    checks.equal(len(after), 8, "the number of views and center")
    names = [*(f"student view {k}" for k in range(5)), "teacher view 0", "teacher view 1", "the center"]
    for name, now, was in zip(names, after, (*given[0], *given[1], given[2]), strict=True):
        checks.equal(now, was, f"{name} after the call (an argument must not be changed in place)")

with checks.step("three images at once: the loss is a mean over the batch"):
    student, teacher = [torch.zeros(3, 2), torch.tensor([[math.log(4), 0.0]] * 3)], [t.expand(3, 2) for t in teacher]
    three = dino_loss(student, teacher, torch.tensor([1.0, 0.0]), 1.0, 0.5)
    checks.close(three, nats((3 / 4, 4 / 5), (1 / 2, 1 / 2)), "the loss", causes={
        "the losses of the images were added; take their mean": 3 * nats((3 / 4, 4 / 5), (1 / 2, 1 / 2)),
    })  # fmt: skip

with checks.step("logits that nobody has seen: 3 images, 2 outputs, against the logistic function"):
    randn = checks.normal(checks.fresh_seed())
    student, teacher, center = [randn(3, 2) for _ in range(2)], [randn(3, 2) for _ in range(2)], randn(2)
    asked = [(first_of(q / 0.5), first_of(p / 0.8)) for t, s in zip(teacher, reversed(student), strict=True)
             for q, p in zip((t - center).diff()[:, 0].neg().tolist(), s.diff()[:, 0].neg().tolist(), strict=True)]  # fmt: skip
    checks.close(dino_loss(student, teacher, center, 0.8, 0.5), nats(*asked), "the loss")

# %% test="loss" points=6
# a teacher that says (1/2, 1/2) about both views, and five views that the student answers differently
views = [0.5, 0.6, 0.7, 0.8, 0.9]  # its first probability
student = [torch.tensor([[math.log(p / (1 - p)), 0.0]]) for p in views]
teacher = [torch.zeros(1, 2), torch.zeros(1, 2)]
cost = [-0.5 * math.log(p * (1 - p)) for p in views]
globals_, locals_ = sum(cost[:2]), sum(cost[2:])


def scalar(number: float) -> torch.Tensor:
    return torch.tensor(number, dtype=torch.float32)


with checks.step("2 global and 3 local views: 8 pairs, a global view in one of them, a local view in two"):
    loss = dino_loss(student, teacher, torch.zeros(2), 1.0, 1.0)
    as_targets = sum(-(q * math.log(p) + (1 - q) * math.log(1 - p)) for i, q in enumerate(views[2:], 2) for j, p in enumerate(views) if i != j)  # fmt: skip
    checks.close(loss, scalar((globals_ + 2 * locals_) / 8), "the loss", causes={
        "the local views were left out": scalar(globals_ / 2),
        "the global views were left out": scalar(locals_ / 3),
        "a local view was paired with one of the teacher's views only": lambda: (  # with global views alone it is right
            checks.near(loss, scalar((globals_ + locals_) / 5))
            and checks.near(dino_loss(student[:2], [teacher[0], torch.tensor([[2.0, 0.0]])], torch.zeros(2), 1.0, 1.0), scalar(globals_ / 2))
        ),
        "the sum was divided by the number of views, not of pairs": scalar((globals_ + 2 * locals_) / 5),
        "the sum was divided by V - 1; there are 2 (V - 1) pairs": scalar((globals_ + 2 * locals_) / 4),
        "the local views were targets as well; the teacher sees global views only": scalar(
            (globals_ + 2 * locals_ + as_targets) / 20
        ),
    })  # fmt: skip

with checks.step("2 global and 2 local views that nobody has seen, 3 images"):
    randn = checks.normal(checks.fresh_seed())
    student, teacher = [0.1 * randn(3, 2) for _ in range(4)], [torch.zeros(3, 2) for _ in range(2)]
    # a teacher that says (1/2, 1/2): a view costs minus the mean logarithm of its two probabilities
    costs = [-(view / 0.1).log_softmax(-1).mean() for view in student]
    wanted = (costs[0] + costs[1] + 2 * costs[2] + 2 * costs[3]) / 6
    checks.close(dino_loss(student, teacher, torch.zeros(2), 0.1, 0.04), wanted, "the loss")

with checks.step("gradients"):
    randn = checks.normal(seed=0)

    def into(fn: Callable, student: list, teacher: list, center: torch.Tensor) -> list:
        """Gradients of the loss into each student view, each teacher view and the center; None where there is none."""
        leaves = [leaf.clone().requires_grad_() for leaf in (*student, *teacher, center)]
        fn(leaves[: len(student)], leaves[len(student) : -1], leaves[-1], 0.1, 0.04).backward()
        return [leaf.grad for leaf in leaves]

    found = checks.beside(into, dino_loss, [0.1 * randn(4, 5) for _ in range(3)], [0.1 * randn(4, 5) for _ in range(2)], 0.1 * randn(5))  # fmt: skip
    checks.equal(len(found), 6, "the number of gradients")
    for view, gradient in enumerate(found[:3]):
        checks.that(gradient is not None and bool((gradient != 0).any()), f"student view {view} gets a gradient", came="none")  # fmt: skip
    for what, gradient in zip(("the teacher's first view", "its second", "the center"), found[3:], strict=True):
        checks.that(
            gradient is None or bool((gradient == 0).all()),
            f"no gradient flows into {what}",
            came="a gradient",
            causes={"the teacher's probabilities are still in the graph; detach them": lambda: found[3] is not None},
        )

# %% test="loss" points=6
with checks.step("a student's logits and the same logits plus 7"):
    randn = checks.normal(seed=1)
    student, teacher, center = [0.3 * randn(3, 6) for _ in range(4)], [0.3 * randn(3, 6) for _ in range(2)], 0.1 * randn(6)  # fmt: skip
    loss = dino_loss(student, teacher, center, 0.1, 0.04)
    shifted = dino_loss([logits + 7 for logits in student], teacher, center, 0.1, 0.04)
    checks.close(shifted, torch.tensor(float(loss)), "the loss of the shifted logits", rtol=1e-3, atol=1e-4, causes={
        "the student's logits were not normalized over the outputs": lambda: abs(float(shifted) - float(loss)) > 1,
    })  # fmt: skip

### BEGIN HIDDEN TESTS


def softened(row: list, temperature: float) -> list:
    sizes = [math.exp((z - max(row)) / temperature) for z in row]
    return [size / sum(sizes) for size in sizes]


def by_loop(student: list, teacher: list, center: torch.Tensor, t_student: float, t_teacher: float) -> float:
    """The loss, pair by pair, image by image and output by output."""
    total, count = 0.0, 0
    for i, t in enumerate(teacher):
        for j, s in enumerate(student):
            if i == j:
                continue
            for b in range(len(t)):
                target = softened([z - c for z, c in zip(t[b].tolist(), center.tolist())], t_teacher)
                answer = softened(s[b].tolist(), t_student)
                total -= sum(q * math.log(p) for q, p in zip(target, answer))
                count += 1
    return total / count


for seed, (batch, outputs, views), temperatures in (
    (0, (3, 4, 2), (0.1, 0.04)),
    (1, (5, 7, 6), (0.1, 0.07)),
    (2, (1, 2, 3), (1.0, 0.5)),
    (3, (4, 3, 4), (0.05, 0.2)),
    (4, (2, 5, 12), (0.2, 0.1)),
):
    with checks.step(f"against loops, float64: B={batch}, K={outputs}, V={views}, temperatures {temperatures}"):
        randn = checks.normal(seed, dtype=torch.float64)
        student = [0.2 * randn(batch, outputs) for _ in range(views)]
        teacher = [0.2 * randn(batch, outputs) for _ in range(2)]
        center = 0.1 * randn(outputs)
        wanted = torch.tensor(by_loop(student, teacher, center, *temperatures), dtype=torch.float64)
        checks.close(dino_loss(student, teacher, center, *temperatures), wanted, "the loss", rtol=1e-7, atol=1e-10)

with checks.step("gradients into the student, against F.cross_entropy with soft targets"):
    randn = checks.normal(seed=4, dtype=torch.float64)
    student, teacher, center = [0.2 * randn(3, 5) for _ in range(3)], [0.2 * randn(3, 5) for _ in range(2)], 0.1 * randn(5)  # fmt: skip
    leaves = [logits.clone().requires_grad_() for logits in student]
    soft = [F.softmax((logits - center) / 0.04, dim=1) for logits in teacher]
    chosen = [(0, 1), (0, 2), (1, 0), (1, 2)]
    sum(F.cross_entropy(leaves[j] / 0.1, soft[i]) / 4 for i, j in chosen).backward()

    def into_student(fn: Callable, student: list, teacher: list, center: torch.Tensor) -> list:
        leaves = [logits.clone().requires_grad_() for logits in student]
        fn(leaves, teacher, center, 0.1, 0.04).backward()
        return [leaf.grad for leaf in leaves]

    came = checks.beside(into_student, dino_loss, student, teacher, center)
    checks.equal(len(came), 3, "the number of gradients")
    for view, gradient in enumerate(came):
        checks.close(gradient, leaves[view].grad, f"the gradient into student view {view}", atol=1e-9)

with checks.step("logits of 50 and -50: no infinity"):
    far = [torch.tensor([[50.0, -50.0, 0.0]]), torch.tensor([[-50.0, 50.0, 0.0]])]
    came = dino_loss(far, far, torch.zeros(3), 0.1, 0.04)
    near_zero = [torch.zeros(1, 3)] * 2
    checks.close(came, torch.tensor(1000.0), "the loss", causes={
        "the logarithm of a probability that rounded to 0: use log_softmax": lambda: not math.isfinite(
            float(dino_loss(far, near_zero, torch.zeros(3), 0.1, 0.04))
        ),
        "the exponential of a teacher's logit is infinite: use softmax": lambda: not math.isfinite(
            float(dino_loss(near_zero, far, torch.zeros(3), 0.1, 0.04))
        ),
    })  # fmt: skip

with checks.step("tuples of views, as `chunk` gives them"):
    randn = checks.normal(seed=6)
    views = (0.2 * randn(6, 4)).chunk(3)
    wanted = by_loop(list(views), list(views[:2]), torch.zeros(4), 0.1, 0.04)
    checks.close(dino_loss(views, views[:2], torch.zeros(4), 0.1, 0.04), torch.tensor(wanted), "the loss")
### END HIDDEN TESTS


# %% test="teacher" points=4
def followed(update: Callable, values: Sequence[float], momentum: float) -> list:
    """The teacher's one weight, which starts at values[0], after each update with a student that takes the others."""
    teacher, student = nn.Linear(1, 1, bias=False).requires_grad_(False), nn.Linear(1, 1, bias=False)
    nn.init.constant_(teacher.weight, values[0])
    found = []
    for value in values[1:]:
        nn.init.constant_(student.weight, value)
        update(teacher, student, momentum)
        found.append(teacher.weight.item())
    return found


def trained(seed: int) -> nn.Module:
    """A student that has seen a batch: its batch norm has moved, one bias of it is frozen, one part is in eval mode."""
    torch.manual_seed(seed)
    student = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.GELU(), nn.Linear(4, 2))
    student(3 + torch.randn(9, 3))
    student[3].bias.requires_grad_(False)
    student[2].eval()
    student[0].weight.grad = torch.ones(4, 3)
    return student


def as_it_is(module: nn.Module) -> dict:
    """All numbers of a module, the mode of each part, and which parameters require a gradient."""
    return {
        "state": {name: tensor.clone() for name, tensor in module.state_dict().items()},
        "modes": [part.training for part in module.modules()],
        "wants": [p.requires_grad for p in module.parameters()],
        "gradients": [p.grad is not None and bool((p.grad == 1).all()) for p in module.parameters()],
    }


def made(make: Callable, seed: int, x: torch.Tensor) -> dict:
    """What a teacher made of a small student looks like, what a training step does to it, and what it says.

    `outputs` are those of the teacher in eval mode, `later` the same after all numbers of the student were changed.
    """
    student = trained(seed)
    before = as_it_is(student)
    teacher = make(student)
    after = as_it_is(student)
    wants = any(p.requires_grad for p in teacher.parameters())
    loss = (student(x) - teacher(x) + 1).square().sum()
    if loss.requires_grad:
        loss.backward()
    found = {
        "before": before,
        "after": after,
        "itself": teacher is student,
        "shared": any(a is b for a in teacher.parameters() for b in student.parameters()),
        "wants": wants,
        "got": any(p.grad is not None for p in teacher.parameters()),
    }
    with torch.no_grad():
        student = trained(seed)
        teacher = make(student).eval()
        found["outputs"] = teacher(x)
        for tensor in (*student.parameters(), *student.buffers()):
            tensor += 1
        found["later"] = teacher(x)
    return found


with checks.step("make_teacher"):
    seed = checks.fresh_seed()
    x = checks.normal(seed)(5, 3)
    seen = checks.beside(made, make_teacher, seed, x)
    with torch.no_grad():
        outputs = trained(seed).eval()(x)
    checks.close(seen["outputs"], outputs, "what a new teacher says in eval mode, as the student does")
    checks.that(not seen["shared"], "the teacher has tensors of its own", came="the student's own parameters", causes={
        "the teacher is the student itself; make a deep copy": lambda: seen["itself"],
    })  # fmt: skip
    checks.close(seen["later"], outputs, "what the teacher says after all numbers of the student have changed")
    checks.that(not seen["wants"] and not seen["got"], "no gradient reaches the teacher", came="a parameter that requires one", causes={
        "an optimizer that is given all parameters would train the teacher": lambda: seen["wants"],
    })  # fmt: skip
    before, after = seen["before"], seen["after"]
    checks.that(after["wants"] == before["wants"], "the student learns as before", came=f"requires_grad {after['wants']}", expected=f"{before['wants']}", causes={
        "requires_grad_ was called on the student, not on its copy": lambda: not any(after["wants"]),
        "what was frozen in the student was switched on": lambda: all(after["wants"]),
    })  # fmt: skip
    checks.that(after["modes"] == before["modes"], "all parts of the student are in the mode they were in", came=f"train modes {after['modes']}", expected=f"{before['modes']}", causes={
        "eval() was called on the student, not on its copy": lambda: not any(after["modes"]),
    })  # fmt: skip
    checks.equal(
        after["gradients"], before["gradients"], "which of the student's parameters have the gradient that they had"
    )
    for name, tensor in before["state"].items():
        checks.equal(after["state"][name], tensor, f"{name} of the student after the call")

with checks.step("momentum 0.9, a teacher's weight of 0, a student's of 1, by hand"):
    found = torch.tensor(checks.beside(followed, update_teacher, [0.0, 1.0, 1.0, 1.0], 0.9))
    checks.close(found, torch.tensor([0.1, 0.19, 0.271]), "the teacher's weight after 1, 2, 3 updates", causes={
        "momentum and 1 - momentum changed places: the teacher jumps to the student": torch.tensor([0.9, 0.99, 0.999]),
        "the teacher does not move": torch.zeros(3),
        "the teacher takes the student's weight as it is": torch.ones(3),
    })  # fmt: skip

with checks.step("a start, two weights of the student and a momentum that nobody has seen"):
    draw = torch.Generator().manual_seed(checks.fresh_seed())
    start, one, two = (torch.randn(3, generator=draw)).tolist()
    m = 0.2 + 0.6 * torch.rand((), generator=draw).item()
    found = torch.tensor(checks.beside(followed, update_teacher, [start, one, two], m))
    wanted = [m * start + (1 - m) * one, m * (m * start + (1 - m) * one) + (1 - m) * two]
    checks.close(found, torch.tensor(wanted), "the teacher's weight after 1, 2 updates")


# %% test="teacher" points=4
def centered(update: Callable, start: torch.Tensor, batches: list, momentum: float) -> tuple:
    """The center after each update, the logits of the last one after it, and whether the center is part of a graph."""
    center, found, views = start.clone(), [], []
    for logits in batches:
        views = [view.clone().requires_grad_() for view in logits]
        update(center, views, momentum)
        found.append(center.detach().clone())
    return torch.stack(found), views, center.requires_grad


with checks.step("center (0, 0), momentum 0.75, by hand"):
    # the four logits of output 0 are 4, 0, 8, 4 with the mean 4; those of output 1 are 0, 0, 2, 2 with the mean 1
    logits = [torch.tensor([[4.0, 0.0], [0.0, 0.0]]), torch.tensor([[8.0, 2.0], [4.0, 2.0]])]
    found, after, wants = checks.beside(centered, update_center, torch.zeros(2), [logits], 0.75)
    checks.close(found[0], torch.tensor([1.0, 0.25]), "the center", causes={
        "the center is as it was: change it in place": torch.zeros(2),
        "momentum and 1 - momentum changed places": torch.tensor([3.0, 0.75]),
        "only the first view was counted": torch.tensor([0.5, 0.0]),
        "only the second view was counted": torch.tensor([1.5, 0.5]),
        "the means of the views were added; take the mean over both": torch.tensor([2.0, 0.5]),
        "the sum over the batch was taken, not the mean": torch.tensor([4.0, 1.0]),
        "the mean of probabilities was taken; the center is a mean of logits": lambda: checks.near(
            found[0], 0.25 * torch.cat(logits).softmax(-1).mean(0)
        ),
        "the mean ran over the outputs as well": torch.tensor([0.625, 0.625]),
    })  # fmt: skip
    checks.that(not wants, "the center is no part of a graph", came="a center that requires a gradient")
    checks.equal(len(after), 2, "the number of the teacher's views after the call")
    for now, was in zip(after, logits, strict=True):
        checks.equal(now, was, "the teacher's logits after the call (they must not be changed in place)")

with checks.step("a second update starts from the first"):
    found, _, _ = checks.beside(centered, update_center, torch.zeros(2), [logits, logits], 0.75)
    checks.close(found[1], torch.tensor([1.75, 0.4375]), "the center")

with checks.step("ten centers in float64 that nobody has seen, against the geometric sum"):
    randn = checks.normal(checks.fresh_seed(), dtype=torch.float64)
    start, batches = randn(4), [[randn(3, 4), randn(3, 4)] for _ in range(10)]
    found, _, _ = checks.beside(centered, update_center, start, batches, 0.9)
    wanted = start
    for one, two in batches:
        wanted = 0.9 * wanted + 0.1 * (one.sum(0) + two.sum(0)) / 6
    checks.close(found[-1], wanted, "the center after ten updates", rtol=1e-9, atol=1e-12)

with checks.step("the momentum of 10 steps from 0.9"):
    rates = [momentum_schedule(step, 10, 0.9) for step in (0, 5, 10)]
    checks.that(all(isinstance(m, float) for m in rates), "the momentum is a float", came=f"{rates}")
    checks.close(torch.tensor([float(m) for m in rates]), torch.tensor([0.9, 0.95, 1.0]), "steps 0, 5 and 10", causes={
        "the momentum falls; it rises to 1": torch.tensor([1.0, 0.95, 0.9]),
        "the momentum stays": torch.full((3,), 0.9),
        "the momentum falls from base to 0": torch.tensor([0.9, 0.45, 0.0]),
        "the step was not divided by the number of steps": lambda: checks.near(rates[1], 1.0) and rates[2] == 1.0,
    })  # fmt: skip

# %% test="teacher" points=4
with checks.step("the momentum of 8 steps from 0.996, against the formula"):
    came = torch.tensor([float(momentum_schedule(s, 8, 0.996)) for s in range(9)], dtype=torch.float64)
    angle = torch.arange(9, dtype=torch.float64) / 8 * math.pi
    line = torch.linspace(0.996, 1, 9).double()
    checks.close(1 - came, 0.002 * (1 + angle.cos()), "1 - momentum", rtol=1e-4, atol=1e-7, causes={
        "the momentum rises along a straight line, not along a cosine": 1 - line,
    })  # fmt: skip

### BEGIN HIDDEN TESTS
with checks.step("after the last step"):
    late = [round(float(momentum_schedule(s, 8, 0.9)), 6) for s in (8, 9, 12, 16)]
    checks.equal(late, [1.0, 1.0, 1.0, 1.0], "the momentum at steps 8, 9, 12 and 16 of 8", causes={
        "the cosine goes on after the last step: the progress must stop at 1": lambda: late[0] == 1.0 and late[2] == 0.95,
    })  # fmt: skip

with checks.step("a student's weight that takes -1, 4, 0, 3, against the geometric sum"):
    values = [2.0, -1.0, 4.0, 0.0, 3.0]

    def moved(update: Callable, values: list, momentum: float) -> tuple:
        """The teacher's one number and the student's after each update."""
        pair = [nn.Embedding(1, 1) for _ in range(2)]
        pair[0].requires_grad_(False)
        nn.init.constant_(pair[0].weight, values[0])
        found: tuple = ([], [])
        for value in values[1:]:
            nn.init.constant_(pair[1].weight, value)
            update(*pair, momentum)
            for numbers, module in zip(found, pair):
                numbers.append(module.weight.item())
        return found

    wanted = [0.7**k * values[0] + 0.3 * sum(0.7 ** (k - j) * values[j] for j in range(1, k + 1)) for k in range(1, 5)]
    came, students = checks.beside(moved, update_teacher, values, 0.7)
    checks.close(torch.tensor(came), torch.tensor(wanted), "the teacher's weights")
    checks.close(torch.tensor(students), torch.tensor(values[1:]), "the student's weights after the updates")


WEIGHTS = ["0.weight", "0.bias", "1.weight", "1.bias"]


def state_of(seed: int, count: int) -> dict:
    """Numbers for a linear map and a batch norm that has counted so many batches."""
    randn = checks.normal(seed)
    shapes = {"0.weight": (4, 3), "0.bias": (4,), "1.weight": (4,), "1.bias": (4,), "1.running_mean": (4,)}
    spread = {"1.running_var": randn(4).exp(), "1.num_batches_tracked": torch.tensor(count)}
    return {name: randn(*shape) for name, shape in shapes.items()} | spread


def with_buffers(update: Callable, mine: dict, theirs: dict, momentum: float) -> dict:
    """Teacher and student with these states after one update, and the teacher once more after a change of the student."""
    teacher, student = (nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)) for _ in range(2))
    teacher.load_state_dict(mine)
    student.load_state_dict(theirs)
    for module, number in ((teacher, 1.0), (student, 2.0)):
        module[0].register_buffer("scale", torch.tensor([number]), persistent=False)  # in no state dict
        module[1].eval()
    teacher.requires_grad_(False)
    student[0].bias.requires_grad_(False)  # frozen, but a parameter
    student[0].eval()
    for parameter in student.parameters():
        parameter.grad = torch.ones_like(parameter)
    held = list(teacher.parameters())
    update(teacher, student, momentum)
    found = {
        "teacher": {name: tensor.clone() for name, tensor in teacher.state_dict().items()},
        "student": {name: tensor.clone() for name, tensor in student.state_dict().items()},
        "same": all(now is was for now, was in zip(teacher.parameters(), held, strict=True)),
        "scale": teacher[0].scale.item(),
        "leaves": all(p.is_leaf and p.grad_fn is None for p in teacher.parameters()),
        "wants": any(p.requires_grad for p in teacher.parameters()),
        "student wants": [p.requires_grad for p in student.parameters()],
        "gradients": [p.grad is not None and bool((p.grad == 1).all()) for p in student.parameters()],
        "modes": [part.training for part in (teacher, *teacher, student, *student)],
    }
    with torch.no_grad():
        for tensor in (*student.parameters(), *student.buffers()):
            tensor += 1
    return found | {"later": teacher.state_dict()}


states = state_of(2, 5), state_of(3, 15)
with checks.step("a batch norm: parameters are averaged, buffers copied"):
    seen = checks.beside(with_buffers, update_teacher, *states, 0.8)
    for name, theirs in states[1].items():
        checks.equal(seen["student"][name], theirs, f"{name} of the student after the update")
    for name, before in states[0].items():
        mine, theirs = seen["teacher"][name], states[1][name]
        if name in WEIGHTS:
            checks.close(mine, 0.8 * before + 0.2 * theirs, f"{name} of the teacher", causes={
                "a parameter that is frozen in the student was left out": lambda: name == "0.bias" and checks.near(mine, before) and not checks.near(
                    seen["teacher"]["1.bias"], states[0]["1.bias"]
                ),
            })  # fmt: skip
        else:
            checks.close(mine, theirs, f"{name} of the teacher", causes={
                "buffers were left alone": before,
                "buffers were averaged like parameters; copy them": (0.8 * before + 0.2 * theirs).to(before.dtype),
            })  # fmt: skip
    for name in states[0]:
        checks.equal(seen["later"][name], seen["teacher"][name], f"{name} of the teacher, after the student moved on", causes={
            "the teacher holds the student's own tensor; copy its numbers": seen["teacher"][name] + 1,
        })  # fmt: skip
    checks.that(not seen["wants"] and seen["leaves"], "the teacher's parameters are plain leaves without gradients", came="a parameter that requires one, or is part of a graph", causes={
        "new parameters that require gradients were put into the teacher": lambda: seen["wants"] and not seen["same"],
    })  # fmt: skip
    checks.that(seen["same"], "the teacher's parameters are changed in place", came="other parameters in their place")
    checks.equal(seen["scale"], 2.0, "a buffer of the teacher that stands in no state dict")
    checks.equal(seen["student wants"], [True, False, True, True], "requires_grad of the student's parameters")
    checks.that(all(seen["gradients"]), "the student's gradients are as they were", came=f"{seen['gradients']}")
    wanted = [True, True, False, True, False, False]
    checks.equal(seen["modes"], wanted, "train modes of the teacher, its two parts, the student, and its two parts")


with checks.step("momentum 1, momentum 0 and momentum 0.996"):
    still, jump = (checks.beside(with_buffers, update_teacher, *states, m) for m in (1.0, 0.0))
    for name in WEIGHTS:
        checks.close(still["teacher"][name], states[0][name], f"{name} of the teacher at momentum 1")
        checks.close(jump["teacher"][name], states[1][name], f"{name} of the teacher at momentum 0")
    slow, _ = checks.beside(moved, update_teacher, [0.0, 1000.0, 1000.0], 0.996)
    checks.close(
        torch.tensor(slow),
        torch.tensor([4.0, 7.984]),
        "a teacher's weight of 0 at momentum 0.996, after two updates with 1,000",
    )


def rows_of_a_table(update: Callable, logits: list, momentum: float) -> torch.Tensor:
    """A table of three centers of which the second was updated."""
    table = torch.arange(18.0).reshape(3, 6)
    update(table[1], logits, momentum)
    return table


with checks.step("a center that is a row of a table, large logits with a mean of their own"):
    randn = checks.normal(checks.fresh_seed())
    logits = [30 + 40 * randn(5, 6), 40 * randn(5, 6)]
    wanted = torch.arange(18.0).reshape(3, 6)
    wanted[1] = 0.4 * wanted[1] + 0.6 * (logits[0].sum(0) + logits[1].sum(0)) / 10
    checks.close(checks.beside(rows_of_a_table, update_center, logits, 0.4), wanted, "the table", rtol=1e-4, atol=1e-4, causes={
        "the center got new memory; change the numbers where they are": torch.arange(18.0).reshape(3, 6),
    })  # fmt: skip
### END HIDDEN TESTS


# %% test="head" points=4
def learned(head: nn.Module) -> list:
    """The parameters that learn."""
    return [p for p in head.parameters() if p.requires_grad]


with checks.step("8 features of width 6 that nobody has seen, 10 outputs"):
    torch.manual_seed(0)
    head = DINOHead(6, 10, hidden_dim=12, bottleneck_dim=5)
    x = 3 * checks.normal(checks.fresh_seed())(8, 6)
    logits, embedded, rows = head(x), head.embed(x), head.prototypes()
    checks.shape(embedded, (8, 5), "the embeddings")
    checks.shape(rows, (10, 5), "the prototypes")
    checks.shape(logits, (8, 10), "the logits")
    checks.close(rows.norm(dim=-1), torch.ones(10), "the lengths of the prototypes", causes={
        "the columns were normalized; each output is a row": lambda: checks.near(rows.norm(dim=0), torch.ones(5)),
        "the last layer is not normalized": lambda: rows.norm(dim=-1).std().item() > 1e-3,
    })  # fmt: skip
    checks.close(embedded.norm(dim=-1), torch.ones(8), "the lengths of the embeddings", causes={
        "the embeddings were normalized over the batch": lambda: checks.near(embedded.norm(dim=0), torch.ones(5)),
        "the bottleneck is not normalized": lambda: embedded.norm(dim=-1).std().item() > 1e-3,
    })  # fmt: skip
    times = (logits.norm(dim=-1) / (embedded @ rows.T).norm(dim=-1)).detach()
    checks.that(
        logits.abs().max().item() <= 1 + 1e-5,
        "a logit is a cosine",
        came=f"a logit of {logits.abs().max():.2f}",
        causes={
            "forward does not use the normalized embeddings": lambda: times.std().item() > 1e-3 and checks.near(
                F.normalize(logits, dim=-1), F.normalize(embedded @ rows.T, dim=-1)
            ),
            "the cosines were multiplied by a number; the temperatures belong to the loss": lambda: checks.near(
                logits, times[0] * (embedded @ rows.T)
            ),
        },
    )  # fmt: skip
    checks.close(logits, (embedded @ rows.T).detach(), "the logits, against embeddings times prototypes", causes={
        "the last layer has a bias": lambda: (logits - embedded @ rows.T).std(0).max().item() < 1e-5,
    })  # fmt: skip

with checks.step("patches: (2, 3, 6) gives (2, 3, 10)"):
    patches = x[:6].reshape(2, 3, 6)
    checks.close(head(patches), logits[:6].detach().reshape(2, 3, 10), "the logits of the patches", causes={
        "an image's logits depend on the others of its batch": lambda: not checks.near(head(x[:6]), logits[:6]),
    })  # fmt: skip

with checks.step("what learns"):
    found = checks.beside(learned, head)
    weights = sorted(sorted(n for n in p.shape if n > 1) for p in found if sum(n > 1 for n in p.shape) > 1)
    checks.equal(weights, [[5, 10], [5, 12], [6, 12]], "the sides of the matrices that learn (10 prototypes, a linear map to 5 from 12, one to 12 from 6)", causes={
        "there is one hidden layer more": [[5, 10], [5, 12], [6, 12], [12, 12]],
        "hidden_dim is not the width of the hidden layer": lambda: len(weights) == 3 and not any(12 in sides for sides in weights),
        "the prototypes do not learn: make them an nn.Parameter": [[5, 12], [6, 12]],
    })  # fmt: skip


# %% test="head" points=4
def pushed(head: nn.Module, x: torch.Tensor, steps: int) -> dict:
    """Some steps that want the logit of output 0 larger; what has become of prototypes, embeddings and logits.

    `moved`: for each parameter that learns whether it has moved. `gains`: whether one of them is a single number, or
    has one number for each of the four outputs.
    """
    head(x)
    before = head.prototypes().detach().clone()
    parameters = [p for p in head.parameters() if p.requires_grad]
    start = [p.detach().clone() for p in parameters]
    for _ in range(steps):
        head.zero_grad()
        (-head(x)[:, 0].mean()).backward()
        with torch.no_grad():
            for p in head.parameters():
                if p.grad is not None:
                    p -= 0.5 * p.grad
    with torch.no_grad():
        return {
            "before": before,
            "logits": head(x),
            "embedded": head.embed(x),
            "rows": head.prototypes(),
            "moved": [not torch.equal(p, was) for p, was in zip(parameters, start, strict=True)],
            "gains": any(p.numel() in (1, 4) for p in parameters),
        }


with checks.step("20 steps that want logit 0 larger"):
    torch.manual_seed(1)
    seen = checks.beside(pushed, DINOHead(6, 4, hidden_dim=16, bottleneck_dim=5), checks.normal(seed=1)(8, 6), 20)
    checks.that(
        (seen["rows"][0] - seen["before"][0]).abs().max().item() > 1e-3,
        "the prototype of output 0 has moved",
        came="the same prototype",
    )
    checks.that(
        len(seen["moved"]) >= 3 and all(seen["moved"]),
        "every parameter that learns has moved",
        came=f"{sum(seen['moved'])} of {len(seen['moved'])} moved",
    )

### BEGIN HIDDEN TESTS
with checks.step("after training the prototypes still have length 1"):
    lengths = seen["rows"].norm(dim=-1)
    checks.close(lengths, torch.ones(4), "the lengths of the prototypes after training", causes={
        "the gain is trained; fix it at 1": lambda: seen["gains"],
        "the rows were normalized once, at the start; normalize in every call": lambda: not seen["gains"] and (
            lengths[0].item() > 1.01 and checks.near(lengths[1:], torch.ones(3))
        ),
    })  # fmt: skip
    checks.close(seen["logits"], seen["embedded"] @ seen["rows"].T, "the logits after training, against embeddings times prototypes", causes={
        "the last layer has a bias, which began at 0": lambda: seen["gains"] and (
            (seen["logits"] - seen["embedded"] @ seen["rows"].T).std(0).max().item() < 1e-5
        ),
    })  # fmt: skip
    checks.that(seen["logits"].abs().max().item() <= 1 + 1e-5, "a logit is still a cosine", came=f"{seen['logits'].abs().max():.2f}")  # fmt: skip

with checks.step("the images of a batch do not see each other"):
    torch.manual_seed(2)
    head = DINOHead(7, 9)
    weights = sorted(
        sorted(n for n in p.shape if n > 1) for p in checks.beside(learned, head) if sum(n > 1 for n in p.shape) > 1
    )
    checks.equal(weights, [[7, 128], [9, 32], [32, 128]], "the sides of the matrices that learn, without hidden_dim and bottleneck_dim")  # fmt: skip
    x = checks.normal(seed=2)(5, 7)
    checks.shape(head.embed(x), (5, 32), "the embeddings with the default bottleneck")
    alone = torch.cat([head(x[k : k + 1]) for k in range(5)])
    checks.close(head(x), alone.detach(), "the logits of a batch, against the images one by one")

with checks.step("the MLP bends"):
    # without a bend the MLP is affine: then the embeddings of two points and of their middle lie in one plane
    torch.manual_seed(3)
    head = DINOHead(4, 3, hidden_dim=64, bottleneck_dim=8)
    x = 4 * checks.normal(seed=3)(20, 2, 4)
    with torch.no_grad():
        three = torch.stack([head.embed(x[:, 0]), head.embed(x[:, 1]), head.embed(x.mean(1))], dim=1)
    flat = torch.linalg.svdvals(three)[:, -1].max().item()
    checks.that(flat > 1e-3, "two points and their middle do not lie in one plane", came="embeddings in one plane", causes={
        "no activation between the two linear layers: together they are one": lambda: flat < 1e-3,
    })  # fmt: skip

with checks.step("float64"):
    torch.manual_seed(4)
    head = DINOHead(3, 6, 8, 4).double()
    x = checks.normal(seed=4, dtype=torch.float64)(2, 3)
    wanted = F.cosine_similarity(head.embed(x)[:, None], head.prototypes()[None], dim=-1)
    checks.close(head(x), wanted.detach(), "the logits, against torch's cosine_similarity", atol=1e-10, rtol=1e-7)


def gradient_of(head: nn.Module, x: torch.Tensor, sides: tuple) -> dict:
    """The parameter that learns with these two sides, its gradient, and the dimension of the shorter side; {} without one."""
    found = [p for p in head.parameters() if p.requires_grad and sorted(n for n in p.shape if n > 1) == sorted(sides)]
    logits = head(x)
    (logits * torch.arange(logits.numel(), dtype=x.dtype).sin().view_as(logits)).sum().backward()
    if len(found) != 1 or found[0].grad is None:
        return {}
    gradient, parameter = found[0].grad.squeeze(), found[0].detach().squeeze()
    head.zero_grad()
    return {"gradient": gradient, "parameter": parameter, "along": list(parameter.shape).index(min(sides))}


def changed_in_eval_mode(head: nn.Module, x: torch.Tensor) -> dict:
    """A head in eval mode that is asked, then has all its matrices turned round and made small, and is asked again."""
    head.eval()
    head(x), head.prototypes()
    with torch.no_grad():
        for parameter in head.parameters():
            if parameter.requires_grad:
                parameter.copy_(-1e-4 * parameter.flip(0))
        later = {"logits": head(x), "rows": head.prototypes(), "lengths": head.embed(x).norm(dim=-1)}
        head.train()
        return later | {"learning": head(x)}


with checks.step("a head in eval mode whose parameters change, to very small ones"):
    torch.manual_seed(6)
    head, x = DINOHead(3, 6, 8, 4).double(), checks.normal(seed=6, dtype=torch.float64)(5, 3)
    rows = head.prototypes().detach()
    later = checks.beside(changed_in_eval_mode, head, x)
    checks.close(later["lengths"], torch.ones(5, dtype=torch.float64), "the lengths of the embeddings")
    checks.close(later["rows"].norm(dim=-1), torch.ones(6, dtype=torch.float64), "the lengths of the prototypes")
    checks.that(not checks.near(later["rows"], rows), "the prototypes follow the parameters", came="those from before", causes={
        "the prototypes of an earlier call were kept": checks.near(later["rows"], rows),
    })  # fmt: skip
    checks.close(later["logits"], later["learning"], "the logits in eval mode, against those in train mode")

with checks.step("the prototypes of a fresh head differ"):
    torch.manual_seed(7)
    rows = DINOHead(5, 12, 8, 6).prototypes().detach()
    cosines = (rows @ rows.T)[torch.ones(12, 12).triu(1).bool()]
    checks.that(cosines.max().item() < 0.999, "no two prototypes point the same way", came=f"a cosine of {cosines.max():.4f}", causes={
        "all rows began alike; then they get the same gradient, too, and stay alike": cosines.min().item() > 0,
    })  # fmt: skip

with checks.step("the head, made again from its own parameters"):
    torch.manual_seed(5)
    head = DINOHead(7, 9, hidden_dim=11, bottleneck_dim=4).double()
    x = 2 * checks.normal(seed=5, dtype=torch.float64)(6, 7)
    logits, rows = head(x), head.prototypes().detach()
    parameters = [p.squeeze() for p in checks.beside(learned, head)]

    def part(*sides: int) -> torch.Tensor:
        """The parameter with these sides, in this order; a bias that is not there is 0."""
        found = [p for p in parameters if sorted(p.shape) == sorted(sides)]
        if not found and len(sides) == 1:
            return torch.zeros(sides, dtype=torch.float64)
        checks.equal(len(found), 1, f"the number of parameters with the sides {sides}")
        return found[0] if found[0].shape == sides else found[0].T

    first, second, shifts = part(11, 7), part(4, 11), (part(11), part(4))
    extra = [tuple(p.shape) for p in parameters if sorted(p.shape) not in ([7, 11], [4, 11], [4, 9], [11], [4])]
    checks.equal(extra, [], "the shapes of further parameters that learn")

    def bent(x: torch.Tensor, bend: Callable) -> torch.Tensor:
        return F.normalize(bend(x @ first.T + shifts[0]) @ second.T + shifts[1], dim=-1)

    usual = bent(x, F.gelu)
    fast = bent(x, lambda y: F.gelu(y, approximate="tanh"))
    came = head.embed(x)
    checks.close(came, fast if checks.near(came, fast) else usual, "the embeddings, against linear, GELU, linear", causes={
        "the activation is a ReLU; a GELU belongs there": bent(x, F.relu),
        "the activation is a tanh; a GELU belongs there": bent(x, torch.tanh),
        "the activation is a SiLU; a GELU belongs there": bent(x, F.silu),
        "a second activation comes after the last linear map": F.normalize(F.gelu(F.gelu(x @ first.T + shifts[0]) @ second.T + shifts[1]), dim=-1),
    })  # fmt: skip
    leaf = x.clone().requires_grad_()
    weights = torch.arange(54.0, dtype=torch.float64).cos().reshape(6, 9)
    bend = F.gelu if checks.near(came, usual) else lambda y: F.gelu(y, approximate="tanh")
    (bent(leaf, bend) @ rows.T * weights).sum().backward()
    slope = checks.beside(gradient_of, head, x, (9, 4))
    along = (slope["gradient"] * slope["parameter"]).sum(slope["along"]).abs().max() if slope else None
    checks.that(along is not None and float(along) < 1e-9 < float(slope["gradient"].abs().max()), "the gradient into the rows of the last layer turns them and does not stretch them", came=f"a part along the rows of {along}", causes={
        "the length was taken for a constant: its gradient is missing": along is not None and float(along) > 1e-9,
    })  # fmt: skip
    (gradient,) = checks.beside(observe.gradients, head, x.clone().requires_grad_())
    checks.that(gradient is not None, "a gradient flows through the head into the backbone", came="none")
    checks.close(gradient, leaf.grad, "the gradient into the features", rtol=1e-4, atol=1e-6)

with checks.step("four dimensions"):
    grid = x.reshape(1, 3, 2, 7)
    checks.close(head(grid), logits.detach().reshape(1, 3, 2, 9), "the logits of features (1, 3, 2, D)", atol=1e-9)
    checks.close(head.embed(grid), came.detach().reshape(1, 3, 2, 4), "the embeddings of features (1, 3, 2, D)", atol=1e-9)  # fmt: skip
    (after,) = checks.beside(observe.arguments_after, head, x)
    checks.equal(after, x, "the features after the call (an argument must not be changed in place)")
### END HIDDEN TESTS

# %% test="report" points=6
with checks.step("6 images, 4 outputs: three answers whose entropies are known"):
    features = torch.eye(4)[[0, 1, 2, 3, 0, 1]]
    log4 = math.log(4)
    for name, probs, sample, batch in (
        ("one-hot, always output 2", F.one_hot(torch.full((6,), 2), 4).float(), 0.0, 0.0),
        ("uniform", torch.full((6, 4), 0.25), log4, log4),
        (
            "one-hot, two images for each of outputs 0, 1, 2",
            F.one_hot(torch.arange(6) % 3, 4).float(),
            0.0,
            math.log(3),
        ),
    ):
        report = collapse_report(probs, features)
        wanted = ["batch_entropy", "effective_rank", "feature_std", "mutual_information", "sample_entropy"]
        checks.equal(sorted(report), wanted, "the keys of the report")
        came = [report[key] for key in ("sample_entropy", "batch_entropy", "mutual_information")]
        checks.that(
            all(isinstance(number, float) for number in report.values()), "the numbers are floats", came=f"{report}"
        )
        checks.that(not any(math.isnan(number) for number in came), f"the report on '{name}' is made of numbers", came=f"{came}", causes={
            "0 log 0 came out as not-a-number": lambda: 0 in probs and not any(
                math.isnan(number) for number in collapse_report((probs + 0.1) / 1.4, features).values()
            ),
        })  # fmt: skip
        came, right = torch.tensor(came), torch.tensor([sample, batch, batch - sample])
        checks.close(came, right, f"{name}: sample entropy, batch entropy, mutual information", causes={
            "the entropies are in bits; take the natural logarithm": right / math.log(2),
            "the entropy of the mean was taken for both": torch.tensor([batch, batch, 0.0]),
            "the mean of the entropies was taken for both": torch.tensor([sample, sample, 0.0]),
            "sample and batch entropy changed places": torch.tensor([batch, sample, batch - sample]),
            "the sign of the difference is turned": torch.tensor([sample, batch, sample - batch]),
            "the sign of the entropy is turned": -right,
            "a softmax was applied to what are probabilities already": lambda: name != "uniform" and abs(came[0].item() - float(
                torch.distributions.Categorical(logits=probs).entropy().mean()
            )) < 1e-3,
            "the entropies of the images were added; take their mean": torch.tensor([6 * sample, batch, batch - 6 * sample]),
        })  # fmt: skip

with checks.step("7 answers over 5 outputs that nobody has seen, summed one by one"):
    randn = checks.normal(checks.fresh_seed(), dtype=torch.float64)
    probs = (2 * randn(7, 5)).softmax(-1)
    report = collapse_report(probs, randn(7, 4))
    sample = sum(-p * math.log(p) for row in probs.tolist() for p in row) / 7
    batch = sum(-p * math.log(p) for p in probs.mean(0).tolist())
    came = torch.tensor([report[key] for key in ("sample_entropy", "batch_entropy", "mutual_information")])
    checks.close(
        came, torch.tensor([sample, batch, batch - sample]), "sample entropy, batch entropy, mutual information"
    )

# %% test="report" points=6
with checks.step("12 features in 3 perpendicular directions of 5, of different lengths"):
    probs = torch.full((12, 2), 0.5)
    length = torch.tensor([1.0, 2.0, 0.5, 4.0]).repeat_interleave(3)[:, None]
    features = length * torch.diag(torch.tensor([1.0, 1, -1, 1, 1]))[torch.arange(12) % 3]
    report = collapse_report(probs, features)
    third = math.sqrt(1 / 3 - 1 / 9)  # of a column that is 1, or -1, in a third of the rows
    checks.close(torch.tensor(report["effective_rank"]), torch.tensor(3.0), "the effective rank", causes={
        "this is the entropy; take its exponential": torch.tensor(math.log(3)),
        "this is a rank in bits: exp of an entropy with base 2": torch.tensor(math.exp(math.log2(3))),
        "the singular values were not divided by their sum": lambda: checks.near(
            report["effective_rank"], math.exp(-3 * 2 * math.log(2)), rtol=1e-3
        ),
        "the features were centered first": lambda: abs(report["effective_rank"] - 2) < 1e-3,
    })  # fmt: skip
    checks.close(torch.tensor(report["feature_std"]), torch.tensor(3 * third / 5), "the feature std", causes={
        "the features were not scaled to length 1": features.std(0, correction=0).mean(),
        "the standard deviation runs over the columns, within each image": F.normalize(features, dim=-1).std(1, correction=0).mean(),
        "it divides by B - 1; divide by B": torch.tensor(3 * third / 5 * math.sqrt(12 / 11)),
        "one standard deviation was taken over all numbers": F.normalize(features, dim=-1).std(correction=0),
    })  # fmt: skip

### BEGIN HIDDEN TESTS
with checks.step("all features the same"):
    report = collapse_report(torch.full((8, 2), 0.5), torch.tensor([[3.0, -1.0, 2.0]]).expand(8, 3))
    checks.close(torch.tensor(report["feature_std"]), torch.tensor(0.0), "the feature std", atol=1e-4)
    checks.close(torch.tensor(report["effective_rank"]), torch.tensor(1.0), "the effective rank", atol=1e-2)


def by_numpy(probs: torch.Tensor, features: torch.Tensor) -> dict[str, float]:
    """The report from SciPy's entropy and NumPy's singular values."""
    from scipy.special import entr

    p, f = probs.double().numpy(), features.double().numpy()
    sample, batch = float(entr(p).sum(1).mean()), float(entr(p.mean(0)).sum())
    unit = f / np.sqrt((f**2).sum(1, keepdims=True))
    singular = np.linalg.svd(unit, compute_uv=False)
    return {
        "sample_entropy": sample,
        "batch_entropy": batch,
        "mutual_information": batch - sample,
        "feature_std": float(np.mean(unit.std(0))),
        "effective_rank": float(np.exp(entr(singular / singular.sum()).sum())),
    }


for seed, (batch, outputs, width), sharpness in (
    (0, (16, 8, 5), 1.0),
    (1, (5, 64, 12), 3.0),
    (2, (40, 3, 4), 0.2),
    (3, (9, 16, 9), 30.0),
):
    with checks.step(f"against SciPy and NumPy: B={batch}, K={outputs}, D={width}"):
        randn = checks.normal(seed, dtype=torch.float64)
        probs = (sharpness * randn(batch, outputs)).softmax(-1)
        features = randn(batch, width) * (1 + 3 * torch.rand(batch, 1, generator=torch.Generator().manual_seed(seed)).double()) + 1  # fmt: skip
        came, wanted = collapse_report(probs, features), by_numpy(probs, features)
        unit = features / features.norm(dim=1, keepdim=True)
        shares = torch.linalg.svdvals(unit).square()
        shares = shares / shares.sum()
        by_squares = float((-(shares * shares.log()).sum()).exp())
        for key, value in wanted.items():
            checks.close(torch.tensor(came[key]).double(), torch.tensor(value).double(), key, causes={
                "the squares of the singular values were used": lambda: key == "effective_rank" and checks.near(
                    came[key], by_squares, rtol=1e-3
                ),
            })  # fmt: skip

with checks.step("one image"):
    probs, features = torch.tensor([[0.5, 0.25, 0.25, 0.0]]), torch.tensor([[3.0, 4.0]])
    came, wanted = collapse_report(probs, features), by_numpy(probs, features)
    for key, value in wanted.items():
        checks.close(torch.tensor(came[key]).double(), torch.tensor(value).double(), key)

with checks.step("probabilities and features after the call"):
    randn = checks.normal(seed=7)
    given = (3 * randn(6, 4)).softmax(-1), 2 * randn(6, 3)
    given[0][0] = torch.tensor([0.0, 0.5, 0.5, 0.0])
    after = checks.beside(observe.arguments_after, collapse_report, *given)
    for name, now, was in zip(("probabilities", "features"), after, given, strict=True):
        checks.equal(now, was, f"the {name} after the call (an argument must not be changed in place)")

with checks.step("probabilities and features that are part of a graph"):
    randn = checks.normal(seed=6)
    report = collapse_report(randn(4, 3).requires_grad_().softmax(-1), randn(4, 5).requires_grad_())
    checks.that(
        sum(isinstance(number, float) for number in report.values()) == 5, "the numbers are floats", came=f"{report}"
    )
### END HIDDEN TESTS


# %% test="diagnose" points=8
def planted(sample: float, batch: float) -> dict[str, float]:
    return {"sample_entropy": sample, "batch_entropy": batch, "mutual_information": batch - sample,
            "feature_std": 0.1, "effective_rank": 5.0}  # fmt: skip


def word(sample: float, batch: float) -> str:
    return diagnose(planted(sample, batch), 64)


with checks.step("K = 64, log K = 4.16: five reports"):
    for name, sample, batch, wanted in (
        ("always the same output", 0.0, 0.0, "one_dimension"),
        ("always uniform", 4.159, 4.159, "uniform"),
        ("sure and balanced", 0.0, 4.159, "healthy"),
        ("unsure, but it depends on the image", 1.3, 2.9, "healthy"),
        ("nearly uniform, after 300 steps", 4.09, 4.13, "uniform"),
    ):
        checks.equal(word(sample, batch), wanted, f"'{name}' ({sample}, {batch})", causes={
            "the sample entropy alone was asked; low is good if the batch entropy is high": lambda: (
                all(word(s, s) == word(s, 4.159) for s in (0.0, 0.3, 1.0, 3.0)) and word(1.0, 4.159) == "healthy"
            ),
            "the batch entropy alone was asked; it is high for a balanced answer as well": lambda: (
                all(word(0.0, b) == word(b, b) for b in (0.3, 1.0, 3.0, 4.159)) and word(0.0, 0.3) != word(0.0, 4.159)
            ),
            "the mutual information was compared with the batch entropy, not with log K": lambda: (
                [word(0.0, 0.0), word(0.0, 0.05), word(1.0, 1.2)] == ["healthy"] * 3 and word(1.0, 1.05) != "healthy"
            ),
            "not collapsed does not mean learning: the mutual information is 0.04 of 4.16": lambda: (
                word(4.09, 4.13) == "healthy" and word(4.159, 4.159) == "uniform" and word(0.0, 0.0) == "one_dimension"
            ),
        })  # fmt: skip

### BEGIN HIDDEN TESTS
with checks.step("K = 2, K = 4 and K = 65,536: the same shares of log K"):
    for k in (2, 4, 65536):
        most = math.log(k)
        for sample, batch, wanted in (
            (0.02, 0.05, "one_dimension"),
            (0.97, 0.99, "uniform"),
            (0.3, 0.6, "healthy"),
            (0.85, 0.97, "healthy"),
            (0.3, 0.38, "one_dimension"),
            (0.55, 0.63, "uniform"),
            (0.1, 0.19, "one_dimension"),
            (0.1, 0.21, "healthy"),
        ):
            came = diagnose(planted(sample * most, batch * most), k)
            checks.equal(came, wanted, f"K = {k}: sample entropy {sample:.0%}, batch entropy {batch:.0%} of log K", causes={
                "the limits are fixed numbers; they must grow with log K": lambda: (
                    diagnose(planted(sample * math.log(64), batch * math.log(64)), 64) == wanted
                    and diagnose(planted(sample * most, batch * most), 64) == came
                ),
            })  # fmt: skip

# here the logarithms of 26 and 64 round so that every way to write the two limits agrees
with checks.step("exactly at the limits"):
    checks.equal(diagnose(planted(0.0, 0.1 * math.log(26)), 26), "healthy", "a mutual information of 0.1 log K", causes={
        "the table says at least 0.1 log K, so the limit itself is healthy": lambda: diagnose(planted(0.0, 0.101 * math.log(26)), 26) == "healthy",
    })  # fmt: skip
    checks.equal(diagnose(planted(0.5 * math.log(64), 0.5 * math.log(64)), 64), "one_dimension", "a sample entropy of 0.5 log K", causes={
        "the table says above 0.5 log K, so the limit itself is not uniform": lambda: diagnose(planted(0.499 * math.log(64), 0.499 * math.log(64)), 64) == "one_dimension",
    })  # fmt: skip


WORDS = ["healthy", "uniform", "one_dimension"]


def places(fn: Callable, reports: list, k: int) -> list:
    """For each report the place of its word among the three; -1 for another word."""
    found = [fn(dict(report), k) for report in reports]
    return [WORDS.index(word) if word in WORDS else -1 for word in found]


def after(fn: Callable, report: dict, k: int) -> dict:
    report = dict(report)
    fn(report, k)
    return report


with checks.step("all reports in steps of 7 percent of log K, K = 1000"):
    most = math.log(1000)
    shares = [(s, b) for b in range(1, 101, 7) for s in range(1, b + 1, 7)]
    reports = [
        planted(s / 100 * most, b / 100 * most) | {"feature_std": (s % 3) / 10, "effective_rank": 1.0 + b % 4}
        for s, b in shares
    ]
    wanted = [0 if b - s > 10 else 1 if s > 50 else 2 for s, b in shares]  # no difference is 10, no share is 50
    checks.equal(
        checks.beside(places, diagnose, reports, 1000), wanted, f"the diagnoses (0, 1, 2 for {', '.join(WORDS)})"
    )
    reports[0]["mutual_information"] = -1e-7  # as rounding may leave it
    checks.equal(checks.beside(after, diagnose, reports[0], 1000), reports[0], "the report after the call")
### END HIDDEN TESTS

# %% test="ibot" points=4
with checks.step("masked_views of 2 images, 3 patches, width 2"):
    tokens = torch.arange(12.0).reshape(2, 3, 2)
    mask = torch.tensor([[True, False, True], [False, False, True]])
    token = torch.tensor([-1.0, -2.0])
    wanted = torch.tensor([[[-1.0, -2], [2, 3], [-1, -2]], [[6, 7], [8, 9], [-1, -2]]])
    other = torch.tensor([[[0.0, 1], [-1, -2], [4, 5]], [[-1, -2], [-1, -2], [10, 11]]])

    def both(fn: Callable, tokens: torch.Tensor, mask: torch.Tensor, token: torch.Tensor) -> tuple:
        """The two results, and the arguments after the call."""
        tokens, mask, token = tokens.clone(), mask.clone(), token.clone()
        student, teacher = fn(tokens, mask, token)
        return student, teacher, tokens, mask, token

    student, teacher, after, mask_after, token_after = checks.beside(both, masked_views, tokens, mask, token)
    checks.close(student, wanted, "the student's tokens", causes={
        "1 means hidden; the other patches were hidden": other,
        "the hidden tokens became 0; the mask token belongs there": tokens * ~mask[..., None],
        "the mask token was added to the hidden tokens": tokens + mask[..., None] * token,
        "nothing was hidden from the student": tokens,
    })  # fmt: skip
    checks.close(teacher, tokens, "the teacher's tokens", causes={
        "the mask was written into the tokens themselves, so the teacher does not see the patches either": lambda: checks.near(after, wanted),
        "the teacher must see the patches that are hidden from the student": wanted,
        "the teacher sees only what is hidden from the student": other,
    })  # fmt: skip
    checks.equal(after, tokens, "the tokens after the call (an argument must not be changed in place)")
    checks.equal(mask_after, mask, "the mask after the call")
    checks.equal(token_after, token, "the mask token after the call")

with checks.step("a mask of zeros and ones, as float32 and as int64"):
    for kind in (torch.float32, torch.int64):
        checks.close(masked_views(tokens, mask.to(kind), token)[0], wanted, f"the student's tokens, mask {kind}")

with checks.step("7 images of 5 patches that nobody has seen, patch by patch"):
    randn = checks.normal(checks.fresh_seed())
    tokens, mask, token = randn(7, 5, 4), randn(7, 5) > 0, randn(4)
    wanted = torch.stack([token if hidden else patch for image, row in zip(tokens, mask, strict=True) for patch, hidden in zip(image, row, strict=True)])  # fmt: skip
    student, teacher = masked_views(tokens, mask, token)
    checks.close(student, wanted.reshape(7, 5, 4), "the student's tokens")
    checks.close(teacher, tokens, "the teacher's tokens")

# %% test="ibot" points=4
# two outputs, temperatures 1; the teacher says (1/2, 1/2) about every patch, so a student's answer p costs
# -log(p (1 - p)) / 2
answers = torch.tensor([[0.5, 0.6, 0.7, 0.8], [0.9, 0.65, 0.75, 0.85], [0.55, 0.95, 0.5, 0.6]])
student = torch.stack([(answers / (1 - answers)).log(), torch.zeros(3, 4)], dim=-1)
teacher = torch.zeros(3, 4, 2)
mask = torch.tensor([[0, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]])
cost = -0.5 * (answers * (1 - answers)).log()
hidden = mask.bool()
over_patches = -0.25 * student.log_softmax(1).sum(-1)  # what a softmax over the wrong dimension would give

with checks.step("three images with 1, 3 and 0 hidden patches of 4, by hand"):
    loss = ibot_loss(student, teacher, mask, torch.zeros(2), 1.0, 1.0)
    checks.shape(loss, (), "the loss")
    checks.close(loss, (cost[0, 1] + cost[1, :3].mean()) / 2, "the loss", causes={
        "all hidden patches of the batch count alike; take the mean of each image first": cost[hidden].mean(),
        "all patches were counted, not only the hidden ones": cost.mean(),
        "an image without hidden patches counts as 0; leave it out": (cost[0, 1] + cost[1, :3].mean()) / 3,
        "the sum over the hidden patches was divided by all patches": (cost * mask).mean(),
        "the sum over the hidden patches was not divided": (cost[0, 1] + cost[1, :3].sum()) / 2,
        "the patches that are not hidden were counted": ((cost * ~hidden).sum(1) / (~hidden).sum(1)).mean(),
        "an image without hidden patches counts as if all were hidden": (cost[0, 1] + cost[1, :3].mean() + cost[2].mean()) / 3,
        "an image without hidden patches was divided by 0": lambda: math.isnan(float(loss)),
        "the softmax ran over the patches; it belongs over the outputs": lambda: checks.near(
            float(loss), float((over_patches[0, 1] + over_patches[1, :3].mean()) / 2)
        ),
    })  # fmt: skip

with checks.step("the mask as bool"):
    checks.close(ibot_loss(student, teacher, hidden, torch.zeros(2), 1.0, 1.0), (cost[0, 1] + cost[1, :3].mean()) / 2, "the loss")  # fmt: skip

with checks.step("nothing hidden"):
    for kind in (torch.float32, torch.int64, torch.bool):
        checks.raises(ValueError, ibot_loss, student, teacher, torch.zeros(3, 4, dtype=kind), torch.zeros(2), 1.0, 1.0, name=f"a mask of zeros ({kind})")  # fmt: skip

with checks.step("center and temperatures: one patch, the teacher says (3/4, 1/4), the student (4/5, 1/5)"):
    one = ibot_loss(
        torch.tensor([[[0.5 * math.log(4), 0.0]]]),
        torch.tensor([[[2 + 0.25 * math.log(3), 0.0]]]),
        torch.ones(1, 1),
        torch.tensor([2.0, 0.0]),
        0.5,
        0.25,
    )

    def nats(q: float, p: float) -> torch.Tensor:
        return torch.tensor(-(q * math.log(p) + (1 - q) * math.log(1 - p)), dtype=torch.float32)

    def first_of(margin: float) -> float:
        return 1 / (1 + math.exp(-margin))

    checks.close(one, nats(3 / 4, 4 / 5), "the loss", causes={
        "the temperatures changed places": nats(first_of(math.log(3) / 2), first_of(2 * math.log(4))),
        "the center was not used": nats(first_of(8 + math.log(3)), 4 / 5),
        "the center was added; subtract it": nats(first_of(16 + math.log(3)), 4 / 5),
        "the center was subtracted from the student as well": nats(3 / 4, first_of(math.log(4) - 4)),
        "student and teacher changed places in the cross-entropy": nats(4 / 5, 3 / 4),
    })  # fmt: skip

with checks.step("3 images with 2, 1 and 0 hidden patches of 4 that nobody has seen, against the logistic function"):
    randn = checks.normal(checks.fresh_seed())
    student, teacher, center = randn(3, 4, 2), randn(3, 4, 2), randn(2)
    few = torch.tensor([[1, 0, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0]])
    shares = [first_of(-m / 0.5) for m in (teacher - center).diff().flatten().tolist()]  # of the teacher's first output
    asked = [first_of(-m / 0.8) for m in student.diff().flatten().tolist()]
    each = [nats(q, p) for q, p in zip(shares, asked, strict=True)]
    checks.close(
        ibot_loss(student, teacher, few, center, 0.8, 0.5), ((each[0] + each[3]) / 2 + each[6]) / 2, "the loss"
    )


# %% test="ibot" points=4
def into(fn: Callable, student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor, center: torch.Tensor) -> list:
    """Gradients of the loss into student, teacher and center; None where there is none."""
    leaves = [leaf.clone().requires_grad_() for leaf in (student, teacher, center)]
    fn(leaves[0], leaves[1], mask, leaves[2], 0.1, 0.04).backward()
    return [leaf.grad for leaf in leaves]


with checks.step("gradients"):
    randn = checks.normal(seed=0)
    mask = torch.tensor([[1, 0, 0, 1, 0], [0, 1, 0, 0, 0]])
    gradients = checks.beside(into, ibot_loss, 0.2 * randn(2, 5, 6), 0.2 * randn(2, 5, 6), mask, 0.1 * randn(6))
    reached = gradients[0].abs().sum(-1) > 0 if gradients[0] is not None else torch.zeros(2, 5, dtype=torch.bool)
    checks.equal(reached, mask.bool(), "which patches of the student get a gradient: the hidden ones", causes={
        "patches that the student could see get one as well": lambda: bool(reached.all()),
    })  # fmt: skip
    for what, gradient in zip(("the teacher", "the center"), gradients[1:], strict=True):
        checks.that(gradient is None or bool((gradient == 0).all()), f"no gradient flows into {what}", came="a gradient", causes={
            "the teacher's probabilities are still in the graph; detach them": lambda: gradients[1] is not None,
        })  # fmt: skip


def through(fn: Callable, tokens: torch.Tensor, mask: torch.Tensor, token: torch.Tensor) -> tuple:
    """How often the mask token went in, from its gradient, and the gradient into the tokens."""
    tokens, token = tokens.clone().requires_grad_(), token.clone().requires_grad_()
    student, _ = fn(tokens, mask, token)
    student.sum().backward()
    return token.grad, tokens.grad


with checks.step("the mask token is learned"):
    to_token, to_tokens = checks.beside(through, masked_views, torch.zeros(2, 5, 3), mask, torch.zeros(3))
    checks.that(to_token is not None, "a gradient reaches the mask token", came="none")
    checks.that(to_tokens is not None, "a gradient reaches the patches", came="none")
    checks.close(to_token, torch.full((3,), 3.0), "the gradient into the token, which stands in 3 places")
    checks.close(to_tokens, (1.0 - mask)[..., None].expand(2, 5, 3).contiguous(), "the gradient into the patches")

### BEGIN HIDDEN TESTS


def shares_of(row: list, temperature: float) -> list:
    sizes = [math.exp((z - max(row)) / temperature) for z in row]
    return [size / sum(sizes) for size in sizes]


def by_loop(
    student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor, center: torch.Tensor, t_s: float, t_t: float
) -> float:
    """The loss, image by image and patch by patch."""
    images = []
    for b in range(len(mask)):
        costs = []
        for i in range(mask.shape[1]):
            if mask[b, i]:
                q = shares_of([z - c for z, c in zip(teacher[b, i].tolist(), center.tolist())], t_t)
                p = shares_of(student[b, i].tolist(), t_s)
                costs.append(-sum(x * math.log(y) for x, y in zip(q, p)))
        if costs:
            images.append(sum(costs) / len(costs))
    return sum(images) / len(images)


for seed, (batch, patches, outputs), temperatures in (
    (0, (4, 9, 5), (0.1, 0.04)),
    (1, (1, 16, 3), (0.1, 0.07)),
    (2, (6, 4, 8), (0.5, 1.0)),
    (3, (3, 2, 7), (0.05, 0.2)),
):
    with checks.step(f"against loops, float64: B={batch}, N={patches}, K={outputs}, temperatures {temperatures}"):
        randn = checks.normal(seed, dtype=torch.float64)
        student, teacher, center = 0.2 * randn(batch, patches, outputs), 0.2 * randn(batch, patches, outputs), 0.1 * randn(outputs)  # fmt: skip
        mask = torch.rand(batch, patches, generator=torch.Generator().manual_seed(seed)) < 0.4
        mask[0] = False
        mask[-1, 0] = True  # one image with nothing hidden, where there is more than one, and one with something
        wanted = torch.tensor(by_loop(student, teacher, mask, center, *temperatures), dtype=torch.float64)
        came = ibot_loss(student, teacher, mask, center, *temperatures)
        checks.close(came, wanted, "the loss", rtol=1e-7, atol=1e-10)

with checks.step("logits of 50 and -50: no infinity"):
    far = torch.tensor([[[50.0, -50.0, 0.0]]])
    came = ibot_loss(far, -far, torch.ones(1, 1), torch.zeros(3), 0.1, 0.04)
    checks.close(came, torch.tensor(1000.0), "the loss", causes={
        "the logarithm of a probability that rounded to 0: use log_softmax": lambda: not math.isfinite(
            float(ibot_loss(far, torch.zeros(1, 1, 3), torch.ones(1, 1), torch.zeros(3), 0.1, 0.04))
        ),
        "the exponential of a teacher's logit is infinite: use softmax": lambda: not math.isfinite(
            float(ibot_loss(torch.zeros(1, 1, 3), far, torch.ones(1, 1), torch.zeros(3), 0.1, 0.04))
        ),
    })  # fmt: skip

with checks.step("what the student says about patches it could see does not matter"):
    randn = checks.normal(seed=5)
    student, teacher = 0.2 * randn(2, 6, 4), 0.2 * randn(2, 6, 4)
    mask = torch.tensor([[1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]])
    changed = torch.where(mask.bool()[..., None], student, 5 * randn(2, 6, 4))
    first, second = (ibot_loss(s, teacher, mask, torch.zeros(4), 0.1, 0.04) for s in (student, changed))
    checks.close(second, torch.tensor(float(first)), "the loss with other answers there")

with checks.step("gradients into the student, against F.cross_entropy with soft targets; the arguments after the call"):
    randn = checks.normal(seed=6, dtype=torch.float64)
    student, teacher, center = 0.2 * randn(3, 5, 4), 0.2 * randn(3, 5, 4), 0.1 * randn(4)
    mask = torch.tensor([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 0]])
    leaf = student.clone().requires_grad_()
    soft = ((teacher - center) / 0.04).softmax(-1)
    costs = [F.cross_entropy(leaf[b, mask[b] == 1] / 0.1, soft[b, mask[b] == 1]) for b in (0, 2)]
    (sum(costs) / 2).backward()
    came = checks.beside(into, ibot_loss, student, teacher, mask, center)[0]
    checks.close(came, leaf.grad, "the gradient into the student", atol=1e-9)
    after = checks.beside(observe.arguments_after, ibot_loss, student, teacher, mask, center, 0.1, 0.04)
    names = ("the student's logits", "the teacher's logits", "the mask", "the center")
    for name, now, was in zip(names, after, (student, teacher, mask, center), strict=True):
        checks.equal(now, was, f"{name} after the call (an argument must not be changed in place)")

with checks.step("float64 tokens"):
    student, _ = masked_views(
        torch.zeros(2, 3, 4, dtype=torch.float64), torch.ones(2, 3), torch.ones(4, dtype=torch.float64)
    )
    checks.close(student, torch.ones(2, 3, 4, dtype=torch.float64), "the student's tokens, all hidden")
### END HIDDEN TESTS
