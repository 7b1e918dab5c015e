//! Axes: round numbers to write beside them, and how numbers are written.

/// Round steps from 0 that reach `most`, about `count` of them; the last is the end of the axis.
pub(super) fn steps(most: f64, count: usize) -> Vec<f64> {
    if !most.is_finite() || most <= 0.0 {
        return vec![0.0, 1.0];
    }
    let rough = most / count.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let choices = [1.0, 2.0, 2.5, 5.0, 10.0];
    let step = choices
        .iter()
        .map(|c| c * power)
        .find(|s| *s >= rough * 0.999);
    let step = step.unwrap_or(10.0 * power);
    let last = (most / step * 0.9999).ceil().max(1.0) as usize;
    (0..=last).map(|i| i as f64 * step).collect()
}

/// A count with its thousands apart.
pub fn whole(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if value <= -0.5 {
        format!("-{text}")
    } else {
        text
    }
}

/// A number to three figures, in units of a thousand or a million where that is shorter.
pub fn short(value: f64) -> String {
    let size = value.abs();
    let (scaled, unit) = match size {
        s if s >= 999_500_000.0 => (value / 1e9, " G"),
        s if s >= 999_500.0 => (value / 1e6, " M"),
        s if s >= 9_995.0 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    format!("{}{unit}", figures(scaled))
}

/// A number to three figures.
pub fn figures(value: f64) -> String {
    let size = value.abs();
    let places = match size {
        0.0 => 0,
        s if s >= 99.95 => 0,
        s if s >= 9.995 => 1,
        s if s >= 0.9995 => 2,
        s => (2.0 - s.log10().floor()).clamp(2.0, 9.0) as usize,
    };
    let text = format!("{value:.places$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => whole(value),
    }
}

/// A time given in seconds, in the unit that suits it.
pub fn seconds(seconds: f64) -> String {
    time(seconds * 1e9)
}

/// A time given in microseconds, in the unit that suits it.
pub fn micros(micros: f64) -> String {
    time(micros * 1e3)
}

/// A time given in nanoseconds, in the unit that suits it.
pub fn time(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds {
        0.0 => (0.0, "s"),
        n if n >= 999.5e6 => (n / 1e9, "s"),
        n if n >= 999.5e3 => (n / 1e6, "ms"),
        n if n >= 999.5 => (n / 1e3, "µs"),
        n => (n, "ns"),
    };
    format!("{} {unit}", figures(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_on_round_numbers() {
        assert_eq!(steps(93.0, 5), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(steps(100.0, 5), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(steps(0.0, 5), [0.0, 1.0]);
        assert_eq!(steps(f64::NAN, 5), [0.0, 1.0]);
        assert_eq!(steps(7.0, 3), [0.0, 2.5, 5.0, 7.5]);
    }

    #[test]
    fn numbers_as_people_write_them() {
        let rows = [
            (0.0, "0"),
            (0.1234, "0.123"),
            (1.0, "1"),
            (1.256, "1.26"),
            (12.34, "12.3"),
            (123.4, "123"),
            (1234.0, "1,234"),
            (12_345.0, "12.3 k"),
            (1_234_567.0, "1.23 M"),
        ];
        for (value, text) in rows {
            assert_eq!(short(value), text);
        }
        assert_eq!(whole(1_234_567.0), "1,234,567");
        let times = [
            (12.0, "12 ns"),
            (1_500.0, "1.5 µs"),
            (999_700.0, "1 ms"),
            (2.5e9, "2.5 s"),
        ];
        for (nanoseconds, text) in times {
            assert_eq!(time(nanoseconds), text);
        }
    }
}
