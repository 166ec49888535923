//! `opshub state`: everything the hub knows about one customer, at one position.

mod page;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use jiff::Timestamp;
use prost_types::FieldMask;
use proto::v1;
use proto::v1::customer_state_service_client::CustomerStateServiceClient;
use proto::v1::get_customer_state_request::{At, Customer};
use serve::reason::Reason;
use tonic::Status;
use tonic_types::StatusExt as _;

use super::{Failure, PARTLY_DONE, runtime};
use crate::client::{ClientArgs, print_json};

/// What to do about a customer or record that the hub does not know.
const IF_UNKNOWN: &str = "name a customer as customers/ID or one of its records as KIND/ID, such as account/ACCT-1205";

/// Shows the state of one customer of a running hub.
#[derive(Debug, Args)]
pub struct StateArgs {
    /// The customer as customers/ID, or any of its records as KIND/ID, such as account/ACCT-1205.
    #[arg(value_name = "NAME|SOURCE_REF", value_parser = NonEmptyStringValueParser::new())]
    customer: String,
    #[command(flatten)]
    client: ClientArgs,
    /// As the hub knew it then: an instant such as 2026-03-10T15:00:00Z, or a position, as answers with
    /// --json tell it.
    #[arg(long, value_name = "TIME|POSITION", conflicts_with = "min_position", value_parser = NonEmptyStringValueParser::new())]
    as_of: Option<String>,
    /// Not before this position: waits until it is applied.
    #[arg(long, value_name = "POSITION", value_parser = NonEmptyStringValueParser::new())]
    min_position: Option<String>,
}

pub(super) fn run(args: &StateArgs) -> Result<(), Failure> {
    runtime()?.block_on(show(args))
}

async fn show(args: &StateArgs) -> Result<(), Failure> {
    let hub = args.client.connect().await?;
    let mut request = v1::GetCustomerStateRequest {
        customer: Some(customer(&args.customer)),
        at: args.as_of.as_deref().map(as_of).or_else(|| args.min_position.clone().map(At::MinPosition)),
        ..v1::GetCustomerStateRequest::default()
    };
    let mut customers = CustomerStateServiceClient::new(hub.channel.clone());
    let mut answer = customers.get_customer_state(hub.request(request.clone())).await;
    let fits = answer.as_ref().err().and_then(fitting);
    if let Some((mask, left_out)) = &fits {
        eprintln!("this customer has too many records for one answer: {left_out} is left out");
        request.read_mask = Some(mask.clone());
        answer = customers.get_customer_state(hub.request(request)).await;
    }
    let attempt = format!("read the state of {}", args.customer);
    let answer = answer.map_err(|status| args.client.failed(&attempt, &status, IF_UNKNOWN))?.into_inner();
    if args.client.json {
        print_json("GetCustomerStateResponse", &answer)?;
    } else {
        if !answer.redirected_from.is_empty() {
            eprintln!("{} is now part of another customer", answer.redirected_from);
        }
        print!("{}", page::page(&answer.customer_state.unwrap_or_default()));
    }
    if fits.is_none() { Ok(()) } else { Err(Failure::told(PARTLY_DONE)) }
}

/// The fields of a state that fit into an answer, and those that do not, where the hub refused it as too large.
fn fitting(refused: &Status) -> Option<(FieldMask, String)> {
    let info = refused.get_details_error_info().filter(|info| info.reason == Reason::AnswerTooLarge.row().name)?;
    let paths = info.metadata.get("read_mask").filter(|paths| !paths.is_empty())?;
    let mask = FieldMask { paths: paths.split(',').map(str::to_owned).collect() };
    Some((mask, info.metadata.get("left_out").cloned().unwrap_or_default()))
}

/// `customers/ID` and a bare id name the customer, `KIND/ID` one of its records.
fn customer(text: &str) -> Customer {
    match text.split_once('/') {
        None => Customer::Name(format!("customers/{text}")),
        Some(("customers", _)) => Customer::Name(text.to_owned()),
        Some((kind, id)) => Customer::SourceRef(v1::SourceRef {
            source: v1::System::Unspecified.into(),
            entity_type: kind.to_owned(),
            native_id: id.to_owned(),
        }),
    }
}

fn as_of(text: &str) -> At {
    match text.parse::<Timestamp>() {
        Ok(at) => At::AsOfTime(prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() }),
        Err(_) => At::AsOfPosition(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serve::reason::Refusal;

    use super::*;

    #[test]
    fn a_state_that_is_too_large_is_asked_for_again_without_its_largest_fields() {
        let too_large = |paths: &str| {
            let refusal = Refusal::new(Reason::AnswerTooLarge).with("read_mask", paths);
            fitting(&refusal.with("left_out", "open_cases").into())
        };
        let paths = ["name", "billing"].map(str::to_owned).to_vec();
        assert_eq!(too_large("name,billing"), Some((FieldMask { paths }, "open_cases".to_owned())));
        assert_eq!(too_large(""), None, "nothing fits");
        assert_eq!(fitting(&Refusal::new(Reason::AnswerTooLarge).into()), None, "it was no state");
        assert_eq!(fitting(&Refusal::new(Reason::CustomerNotFound).with("read_mask", "name").into()), None);
    }

    #[test]
    fn customers_are_named_or_found_by_a_record() {
        assert_eq!(customer("customers/1f"), Customer::Name("customers/1f".to_owned()));
        assert_eq!(customer("1f"), Customer::Name("customers/1f".to_owned()));
        let Customer::SourceRef(reference) = customer("case/SF/1") else { panic!("a record was named") };
        assert_eq!((reference.entity_type.as_str(), reference.native_id.as_str()), ("case", "SF/1"));
    }

    #[test]
    fn an_earlier_point_is_an_instant_or_a_position() {
        let instant = prost_types::Timestamp { seconds: 1_773_154_800, nanos: 500_000_000 };
        assert_eq!(as_of("2026-03-10T15:00:00.5Z"), At::AsOfTime(instant));
        assert_eq!(as_of("AQgHx"), At::AsOfPosition("AQgHx".to_owned()));
    }

    #[test]
    fn a_point_that_is_empty_is_not_the_present() {
        use clap::Parser as _;
        let parse = |words: &[&str]| crate::commands::Cli::try_parse_from([&["opshub", "state"], words].concat());
        assert!(parse(&["account/1", "--as-of", "AQgHx"]).is_ok());
        for words in [&["account/1", "--as-of", ""][..], &["account/1", "--min-position", ""], &[""]] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}
