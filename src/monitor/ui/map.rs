//! A map of what has coordinates, drawn here: a grid of degrees and points. Nothing is asked of
//! anybody else, so there are no coasts on it.

use maud::{Markup, html};

use crate::codec::json::{Map, Value};
use crate::contract::AlertSeverity;
use crate::limits::MAX_MAPPED_FIELDS;
use crate::monitor::service::Service;
use crate::monitor::ui::parts::{address, severity_name};
use crate::query::json::visible;
use crate::query::views::{AssetView, ChangeView};

/// Width of the drawing, in its own units.
const WIDTH: f64 = 960.0;
/// Its height.
const HEIGHT: f64 = 420.0;
/// Least extent of what is shown, in degrees: a few hundred metres.
const LEAST_DEGREES: f64 = 0.005;
/// Room around the points, as a share of their extent.
const ROOM: f64 = 0.12;
/// Lines of the grid that are wanted at most in each direction.
const LINES: f64 = 7.0;
/// Distances between lines that people expect, in degrees.
const STEPS: [f64; 14] =
    [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];
/// Fields that usually say where something is.
const WHERE: [&str; 5] = ["location", "position", "place", "gps", "coordinates"];
const LATITUDES: [&str; 2] = ["latitude", "lat"];
const LONGITUDES: [&str; 4] = ["longitude", "lon", "lng", "long"];

/// A place on the globe in degrees (WGS 84).
#[derive(Debug, Clone, Copy, PartialEq)]
struct Place {
    /// North of the equator.
    latitude: f64,
    /// East of Greenwich.
    longitude: f64,
}

/// A point on the map.
#[derive(Debug, Clone)]
struct Point {
    /// Its position.
    place: Place,
    /// Its name.
    name: String,
    /// The address that it links to.
    address: String,
    /// Set if it has an alert, with the severity of the worst one if known.
    alert: Option<Option<AlertSeverity>>,
}

impl Place {
    /// The place that a state says: `latitude` and `longitude` (or `lat` and `lon`, `lng`, `long`) as
    /// its own fields, or as those of one of its fields: one with a usual name first, and none that
    /// has a radius as well, which is where something should be.
    fn of(state: &Map) -> Option<Self> {
        let named = WHERE.iter().filter_map(|name| state.get(name));
        let others = state.iter().take(MAX_MAPPED_FIELDS).map(|(_, value)| value);
        let inner = named.chain(others).filter_map(Value::as_object);
        let inner = inner.filter(|fields| fields.get("radius").is_none());
        std::iter::once(state).chain(inner).find_map(Self::in_fields)
    }

    fn in_fields(fields: &Map) -> Option<Self> {
        let number = |names: &[&str], most: f64| {
            let value = names.iter().find_map(|name| fields.get(name))?;
            let Value::Number(number) = value else { return None };
            let degrees: f64 = number.as_str().parse().ok()?;
            (-most..=most).contains(&degrees).then_some(degrees)
        };
        let (latitude, longitude) = (number(&LATITUDES, 90.0)?, number(&LONGITUDES, 180.0)?);
        Some(Self { latitude, longitude })
    }
}

/// The visible part of the globe, and its size.
struct Frame {
    west: f64,
    north: f64,
    /// Units of the drawing for a degree of longitude and of latitude.
    scale: (f64, f64),
    extent: (f64, f64),
}

impl Frame {
    /// Around some places.
    fn around(places: impl Iterator<Item = Place>) -> Option<Self> {
        let (mut south, mut north) = (f64::INFINITY, f64::NEG_INFINITY);
        let (mut west, mut east) = (f64::INFINITY, f64::NEG_INFINITY);
        for place in places {
            (south, north) = (south.min(place.latitude), north.max(place.latitude));
            (west, east) = (west.min(place.longitude), east.max(place.longitude));
        }
        if south > north {
            return None;
        }
        let middle = ((south + north) / 2.0, (west + east) / 2.0);
        // A degree of longitude is shorter the farther from the equator.
        let shrink = middle.0.to_radians().cos().max(0.1);
        let wanted = |extent: f64| (extent * (1.0 + 2.0 * ROOM)).max(LEAST_DEGREES);
        let (high, wide) = (wanted(north - south), wanted(east - west));
        let unit = (HEIGHT / high).min(WIDTH / (wide * shrink));
        let extent = (WIDTH / (unit * shrink), HEIGHT / unit);
        Some(Self {
            west: middle.1 - extent.0 / 2.0,
            north: middle.0 + extent.1 / 2.0,
            scale: (unit * shrink, unit),
            extent,
        })
    }

    fn at(&self, place: Place) -> (f64, f64) {
        let x = (place.longitude - self.west) * self.scale.0;
        (x, (self.north - place.latitude) * self.scale.1)
    }

    /// Degrees at which lines stand, between two, not more than wanted.
    fn lines(from: f64, extent: f64) -> Vec<f64> {
        let step = STEPS.into_iter().find(|step| extent / step <= LINES).unwrap_or(60.0);
        let first = (from / step).ceil();
        let lines = (0..).map(|line| (first + f64::from(line)) * step);
        lines.take_while(|degrees| *degrees <= from + extent).take(64).collect()
    }
}

/// A map of the assets whose state has coordinates.
pub fn of_assets(service: &Service, assets: &[AssetView]) -> Markup {
    let mut points: Vec<_> = assets.iter().filter_map(|asset| point(service, asset)).collect();
    // The most severe lies on top.
    points.sort_by_key(|point| point.alert);
    map("Locations", &points, &[])
}

fn point(service: &Service, asset: &AssetView) -> Option<Point> {
    let severity = |name: &String| service.queries.severity(&asset.contract, name);
    Some(Point {
        place: Place::of(&asset.asset.state)?,
        name: asset.key.clone(),
        address: address(&["state", &asset.contract, &asset.key]),
        alert: asset.asset.alerts.active.iter().map(severity).max(),
    })
}

/// A map of an asset and its track over the newest changes.
pub fn of_asset(service: &Service, asset: &AssetView, changes: &[ChangeView]) -> Markup {
    let points: Vec<_> = point(service, asset).into_iter().collect();
    let state = |change: &ChangeView| {
        let place = change.write.asset.as_ref()?.get("state")?.as_object();
        place.and_then(Place::of)
    };
    let way: Vec<_> = changes.iter().filter_map(state).collect();
    map("Location and recent track", &points, &way)
}

/// Draws points, and a way that leads through places.
fn map(caption: &str, points: &[Point], way: &[Place]) -> Markup {
    let places = points.iter().map(|point| point.place).chain(way.iter().copied());
    let Some(frame) = Frame::around(places) else { return html! {} };
    let way: Vec<_> = way.iter().map(|place| frame.at(*place)).collect();
    let way: Vec<_> = way.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    html! {
        figure.map {
            figcaption { (caption) }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="group" aria-label=(caption) {
                (grid(&frame))
                @if way.len() > 1 { polyline.way points=(way.join(" ")) {} }
                @for point in points {
                    @let (x, y) = frame.at(point.place);
                    a href=(point.address) {
                        circle class=[point.alert.map(severity_name)] cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r="6" {
                            title { (visible(&point.name)) }
                        }
                    }
                }
            }
        }
    }
}

fn grid(frame: &Frame) -> Markup {
    let south = frame.north - frame.extent.1;
    html! {
        g.grid aria-hidden="true" {
            @for degrees in Frame::lines(frame.west, frame.extent.0) {
                @let x = format!("{:.1}", (degrees - frame.west) * frame.scale.0);
                line x1=(x) x2=(x) y1="0" y2=(HEIGHT) {}
                text x=(x) y=(HEIGHT - 6.0) dx="4" { (shown(degrees, "E", "W")) }
            }
            @for degrees in Frame::lines(south, frame.extent.1) {
                @let y = format!("{:.1}", (frame.north - degrees) * frame.scale.1);
                line x1="0" x2=(WIDTH) y1=(y) y2=(y) {}
                text x="4" y=(y) dy="-4" { (shown(degrees, "N", "S")) }
            }
        }
    }
}

/// Degrees as they stand on maps.
fn shown(degrees: f64, positive: &str, negative: &str) -> String {
    let rounded = (degrees * 1_000.0).round() / 1_000.0;
    match rounded {
        0.0 => "0°".to_owned(),
        _ if rounded > 0.0 => format!("{rounded}° {positive}"),
        _ => format!("{}° {negative}", -rounded),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json::json;
    use proptest::prelude::*;

    fn place(value: &Value) -> Option<(f64, f64)> {
        let place = Place::of(value.as_object().unwrap())?;
        Some((place.latitude, place.longitude))
    }

    #[test]
    fn a_place_is_found_where_both_are_there_and_possible() {
        for (state, expected) in [
            (json!({"latitude": 53.5, "longitude": 9.75}), Some((53.5, 9.75))),
            (json!({"location": {"lat": -1, "lng": 180}}), Some((-1.0, 180.0))),
            (json!({"a": {"lat": 1}, "b": {"lat": 2, "lon": 3}}), Some((2.0, 3.0))),
            (
                json!({"area": {"lat": 1, "lon": 2}, "position": {"lat": 3, "lon": 4}}),
                Some((3.0, 4.0)),
            ),
            (json!({"geofence": {"lat": 1, "lon": 2, "radius": 9}}), None),
            (json!({"lat": 91, "lon": 0}), None),
            (json!({"lat": 1, "lon": -180.5}), None),
            (json!({"lat": "1", "lon": 2}), None),
            (json!({"lat": 1}), None),
            (json!({"a": {"b": {"lat": 1, "lon": 2}}}), None),
        ] {
            assert_eq!(place(&state), expected, "{state}");
        }
    }

    #[test]
    fn nothing_gives_no_map() {
        assert_eq!(map("x", &[], &[]).into_string(), "");
    }

    proptest! {
        #[test]
        fn every_point_is_on_the_map(places in proptest::collection::vec((-90.0..=90.0, -180.0..=180.0), 1..30)) {
            let places: Vec<_> =
                places.into_iter().map(|(latitude, longitude)| Place { latitude, longitude }).collect();
            let frame = Frame::around(places.iter().copied()).unwrap();
            for place in &places {
                let (x, y) = frame.at(*place);
                prop_assert!((-0.01..=WIDTH + 0.01).contains(&x), "{place:?} at {x}");
                prop_assert!((-0.01..=HEIGHT + 0.01).contains(&y), "{place:?} at {y}");
            }
            for extent in [frame.extent.0, frame.extent.1] {
                prop_assert!(Frame::lines(-90.0, extent).len() <= 64);
            }
        }
    }
}
