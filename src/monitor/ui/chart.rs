//! Charts as SVG, drawn on the server. Colours stand for roles: the style sheet knows them by their
//! value and gives each its tone in light and dark.

use maud::{Markup, PreEscaped, html};
use plotters::prelude::{
    ChartBuilder, DrawingAreaErrorKind, IntoDrawingArea, IntoFont, LineSeries, RGBColor, SVGBackend,
};
use plotters::style::{Color, TextStyle};

use crate::monitor::ui::parts::text;

/// Size of a chart in its own units; a page scales it.
const SIZE: (u32, u32) = (560, 200);
/// Size of its letters in the same units.
const LETTERS: u32 = 26;
/// Lines of a chart, the first one first. The last tones serve for all further ones.
const LINES: [RGBColor; 4] =
    [RGBColor(1, 0, 1), RGBColor(1, 0, 2), RGBColor(1, 0, 3), RGBColor(1, 0, 4)];
/// Letters.
const INK: RGBColor = RGBColor(2, 0, 0);
/// Axes and the lines between.
const RULE: RGBColor = RGBColor(2, 0, 1);

/// One line of a chart.
pub struct Line {
    /// Its name.
    pub name: String,
    /// Points in order of x.
    pub points: Vec<(f64, f64)>,
}

/// The texts of a chart and its axes.
pub struct Frame<'a> {
    /// The title.
    pub title: &'a str,
    /// Says a value of x.
    pub x: &'a dyn Fn(f64) -> String,
    /// Says a value of y.
    pub y: &'a dyn Fn(f64) -> String,
    /// True if the values begin at zero.
    pub from_zero: bool,
}

/// A chart with its title and, for several lines, their names. The newest value of each stands in
/// words, also for those who do not see the drawing.
pub fn chart(frame: &Frame<'_>, lines: &[Line]) -> Markup {
    let newest = |line: &Line| {
        let newest = line.points.last().map(|(_, y)| (frame.y)(*y));
        newest.unwrap_or_else(|| "no value yet".to_owned())
    };
    let said = lines.iter().map(|line| format!("{} {}", line.name, newest(line)));
    let said = said.collect::<Vec<_>>().join(", ");
    html! {
        figure.chart {
            figcaption {
                (frame.title) " "
                @if let [only] = lines { strong { (text(&newest(only))) } }
            }
            @match drawn(frame, lines) {
                Some(svg) => {
                    div role="img" aria-label={ (frame.title) ": " (said) } { (PreEscaped(svg)) }
                },
                None => { p.empty { "not enough values for a chart yet" } },
            }
            @if lines.len() > 1 {
                ul.legend {
                    @for (at, line) in lines.iter().enumerate() {
                        li class={ "line-" (at.min(LINES.len() - 1)) } {
                            (text(&line.name)) " " strong { (text(&newest(line))) }
                        }
                    }
                }
            }
        }
    }
}

/// Least and greatest of some values, a little apart; `None` where there is nothing between.
fn range(values: impl Iterator<Item = f64>, from: Option<f64>) -> Option<(f64, f64)> {
    let bounds = values.fold(None, |bounds: Option<(f64, f64)>, value| match bounds {
        None => Some((value, value)),
        Some((least, greatest)) => Some((least.min(value), greatest.max(value))),
    });
    let (least, greatest) = bounds.filter(|(a, b)| a.is_finite() && b.is_finite())?;
    let least = from.map_or(least, |from| from.min(least));
    let gap = if greatest > least { 0.0 } else { greatest.abs().max(1.0) / 2.0 };
    let least = if from.is_some() { least } else { least - gap };
    Some((least, greatest + gap))
}

fn drawn(frame: &Frame<'_>, lines: &[Line]) -> Option<String> {
    let points = || lines.iter().flat_map(|line| &line.points);
    if points().count() < 2 {
        return None;
    }
    let x = range(points().map(|(x, _)| *x), None)?;
    let y = range(points().map(|(_, y)| *y), frame.from_zero.then_some(0.0))?;
    let mut svg = String::new();
    // A chart that cannot be drawn is left out; what it shows stands in words beside it.
    draw(&mut svg, frame, lines, (x, y)).ok()?;
    Some(svg)
}

type Bounds = (f64, f64);

fn draw(
    svg: &mut String,
    frame: &Frame<'_>,
    lines: &[Line],
    (x, y): (Bounds, Bounds),
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let letters = TextStyle::from(("sans-serif", LETTERS).into_font()).color(&INK);
    let mut chart = ChartBuilder::on(&area)
        .margin(8)
        .margin_right(48)
        .x_label_area_size(32)
        .y_label_area_size(96)
        .build_cartesian_2d(x.0..x.1, y.0..y.1)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(4)
        .y_labels(4)
        .max_light_lines(0)
        .axis_style(RULE)
        .bold_line_style(RULE.mix(0.5))
        .label_style(letters)
        .x_label_formatter(&|x| (frame.x)(*x))
        .y_label_formatter(&|y| (frame.y)(*y))
        .draw()?;
    for (at, line) in lines.iter().enumerate() {
        let tone = LINES[at.min(LINES.len() - 1)].stroke_width(3);
        chart.draw_series(LineSeries::new(line.points.iter().copied(), tone))?;
    }
    area.present()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(from_zero: bool) -> Frame<'static> {
        Frame { title: "heat", x: &|x| format!("{x:.0}"), y: &|y| format!("{y:.1} °C"), from_zero }
    }

    fn line(points: &[(f64, f64)]) -> Line {
        Line { name: "a <b>".to_owned(), points: points.to_vec() }
    }

    #[test]
    fn a_chart_is_drawn_and_said() {
        let shown = chart(&frame(true), &[line(&[(0.0, 1.0), (1.0, 4.5)])]).into_string();
        for part in
            ["<svg ", "#010001", "4.5 °C", "aria-label=\"heat: a &lt;b&gt; 4.5 °C\"", "polyline"]
        {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains(" style="), "{shown}");
        let two = [line(&[(0.0, 1.0), (1.0, 2.0)]), line(&[])];
        let shown = chart(&frame(true), &two).into_string();
        assert!(shown.contains("a &lt;b&gt; no value yet") && !shown.contains("<b>"), "{shown}");
    }

    #[test]
    fn no_values_break_it() {
        for points in [
            vec![],
            vec![(0.0, 1.0)],
            vec![(0.0, f64::NAN), (1.0, 1.0)],
            vec![(0.0, f64::INFINITY), (1.0, 1.0)],
            vec![(0.0, 0.0), (0.0, 0.0)],
            vec![(0.0, 5.0), (1.0, 5.0)],
            vec![(0.0, -1e300), (1.0, 1e300)],
        ] {
            for from_zero in [true, false] {
                let shown = chart(&frame(from_zero), &[line(&points)]).into_string();
                assert!(shown.starts_with("<figure"), "{shown}");
            }
        }
    }
}
