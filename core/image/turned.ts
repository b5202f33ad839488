interface Size {
  width: number;
  height: number;
}

/** True for a picture that lies on its side before it is turned by so many degrees. */
export const isLying = (turn: number): boolean => Math.abs(turn % 180) === 90;

/** The rectangle around a picture that is turned: by anything but quarters it is larger than the picture. */
export function turnedSize({ width, height }: Size, turn: number): Size {
  if (turn % 90 === 0) return isLying(turn) ? { width: height, height: width } : { width, height };
  const radians = (turn * Math.PI) / 180;
  const [sin, cos] = [Math.abs(Math.sin(radians)), Math.abs(Math.cos(radians))];
  return { width: Math.ceil(width * cos + height * sin), height: Math.ceil(width * sin + height * cos) };
}
