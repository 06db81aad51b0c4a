-- How many instances and gibibytes each modality takes, by year of study.
SELECT
  COALESCE(Modality, 'none') AS Modality,
  EXTRACT(YEAR FROM StudyDate) AS StudyYear,
  COUNT(*) AS Instances,
  ROUND(SUM(BlobStorageSize) / POW(1024, 3), 3) AS GiB
FROM dicomView
GROUP BY 1, 2
ORDER BY 1, 2
