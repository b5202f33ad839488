/**
 * Bikram Sambat, the civil calendar of Nepal. Its months follow the sun and are published each year by the calendar
 * committee, so no formula gives them. The digits are the days of each month above 29, from the year 2050 on. Source:
 * five independent published tables, compared. They agree up to 2081 except for 2062; future years are forecasts.
 */
const monthDays = `
232321110102 222322101011 223222101011 232321110011 232321110102 223222101011 223231101011 232321110012
132321110102 223222101011 223321101011 232321110012 222322010102 223222101011 223321101011 232321110012
222322011002 223222101011 223321101011 232321110012 222322011011 223222101011 232321101011 232321110012
222322101011 223222101011 232321110011 232321110102 222322101011 223222101011 232321110011 232321110102
223222101011 223222101011 223221110111 232312110111 132321110111 223222110111 123312110111 132321110111
132321110111`;

const firstYear = 2050;
/** 1 Baisakh 2050. */
const firstDay = Date.UTC(1993, 3, 13);
/** Years whose tables differ, by one day at most. */
const isCertain = (year: number) => year <= 2083 && year !== 2062;

const msPerDay = 86_400_000;

/** The day as epoch milliseconds, and whether the tables agree on it; null where there is no such day. */
export function toGregorian(
  year: number,
  month: number,
  day: number,
): { time: number; certain: boolean } | null {
  const years = monthDays.trim().split(/\s+/);
  const index = year - firstYear;
  const lengths = years[index];
  if (lengths === undefined || month < 1 || month > 12 || day < 1) return null;
  if (day > 29 + Number(lengths[month - 1])) return null;
  const days = (months: string) => [...months].reduce((sum, over) => sum + 29 + Number(over), 0);
  const before = days(years.slice(0, index).join("")) + days(lengths.slice(0, month - 1));
  return { time: firstDay + (before + day - 1) * msPerDay, certain: isCertain(year) };
}

/** Months as tills print them, in Nepali and in Latin letters. */
export const monthNames: readonly string[] = [
  "वैशाख बैशाख baisakh baishakh vaisakh",
  "जेठ जेष्ठ ज्येष्ठ jestha jeth jyestha",
  "असार आषाढ asar ashadh ashar",
  "साउन श्रावण shrawan saun sawan",
  "भदौ भाद्र bhadra bhadau",
  "असोज आश्विन ashwin asoj aswin",
  "कार्तिक कात्तिक kartik",
  "मंसिर मङ्सिर mangsir mansir",
  "पुस पौष poush push paush",
  "माघ magh",
  "फागुन फाल्गुन falgun fagun phalgun",
  "चैत चैत्र chaitra chait",
];
