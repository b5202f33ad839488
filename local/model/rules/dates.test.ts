import { describe, expect, it } from "vitest";
import * as Dates from "#local/model/rules/dates";
import * as Rows from "#local/model/rules/rows";
import * as TillPaper from "#test/support/till-paper";

describe("a printed date", () => {
  it.each([
    ["Date: 14/03/2018 16:37", "14/03/2018", "2018-03-14"],
    ["06-01-18", "06-01-18", "2018-01-06"],
    ["02.03.2020", "02.03.2020", "2020-03-02"],
    ["15/05/201710:49:40AM", "15/05/2017", "2017-05-15"],
    ["28.02.2009:5800005450", "28.02.20", "2020-02-28"],
    ["26 Feb201615:20", "26 Feb2016", "2016-02-26"],
    ["30MAR2018", "30MAR2018", "2018-03-30"],
    ["MAR 26, 2018", "MAR 26, 2018", "2018-03-26"],
    ["14 Agustus 2019", "14 Agustus 2019", "2019-08-14"],
    ["3 Ogos 2018", "3 Ogos 2018", "2018-08-03"],
    ["le 12 février 2021", "12 février 2021", "2021-02-12"],
    ["24. März 2019", "24. März 2019", "2019-03-24"],
    ["2018-04-16T09:12", "2018-04-16", "2018-04-16"],
    ["14.03.19-18:22", "14.03.19", "2019-03-14"],
    ["02:03.20", "02.03.20", "2020-03-02"],
    ["29,02.20 14:52", "29.02.20", "2020-02-29"],
    ["06. 06.04.2020 04 14:43", "06.04.2020", "2020-04-06"],
    ["14AMay/2017", "14/May/2017", "2017-05-14"],
    ["050ct202416:22", "05Oct2024", "2024-10-05"],
    ["7 de junio de 2025", "7 de junio de 2025", "2025-06-07"],
    ["7dejuniode2025", "7dejuniode2025", "2025-06-07"],
    ["18 maggio 2025", "18 maggio 2025", "2025-05-18"],
    ["12 dezembro 2024", "12 dezembro 2024", "2024-12-12"],
    ["30 Nisan 2025", "30 Nisan 2025", "2025-04-30"],
  ])("%s", (text, printed, iso) => {
    expect(Dates.find(text)[0]).toMatchObject({ text: printed, iso });
  });

  it.each([
    "TEL 03-78057889",
    "1 MARKER 12",
    "2 MAYO 15",
    "12 SUB 19",
    "1 SET 15",
    "45/13/2018",
    "31/02/2018",
    "12.50",
    "12:30:45",
    "1,591,600",
  ])("is not seen in %s", (text) => {
    expect(Dates.find(text)).toEqual([]);
  });
});

describe("a time of day", () => {
  it.each([
    ["14/03/2018 4:37:05 PM", "4:37:05 PM", "16:37:05"],
    ["Uhrzeit 09:58 Uhr", "09:58", "09:58:00"],
    ["15/05/201710:49:40AM", "10:49:40AM", "10:49:40"],
    ["12:05 AM", "12:05 AM", "00:05:00"],
  ])("%s", (text, printed, iso) => {
    expect(Dates.findTimes(text)[0]).toMatchObject({ text: printed, iso });
  });

  it("is not seen in a price", () => {
    expect(Dates.findTimes("TOTAL 12.30")).toEqual([]);
  });
});

describe("of several dates", () => {
  const choose = (text: string) => {
    const rows = Rows.group([TillPaper.fromText(text)]);
    return Dates.choose(rows, Dates.monthComesFirst(rows));
  };

  it("the date of purchase is chosen, not the one until which something is valid", () => {
    expect(choose("Voucher valid until 31/12/2019\nDate 05/06/2019  10:20").date?.iso).toBe("2019-06-05");
  });

  it("the day to pay by is kept apart", () => {
    const dates = choose("Datum 14.07.2021\nZahlbar bis 13.08.2021");
    expect([dates.date?.iso, dates.due?.iso]).toEqual(["2021-07-14", "2021-08-13"]);
  });

  it("the month comes first on American paper only", () => {
    expect(choose("Redmond, WA 98052\n06/10/2019\nTotal  $14.50").date?.iso).toBe("2019-06-10");
    expect(choose("Kuala Lumpur 50000\n06/10/2019\nTotal  RM 14.50").date?.iso).toBe("2019-10-06");
  });
});
